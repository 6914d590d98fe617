//! Round trips with the host's programs, both ways: what one side packs the other unpacks, and nothing is lost. It needs those
//! programs, so `cargo xtask test-external` runs it.

use std::os::unix::fs::symlink;
use std::process::Command;

/// Makes a tree in the current directory: names, modes, times, links, an empty and a larger file.
const TREE: &str = r#"
set -e
mkdir -p src/sub/deep src/empty
seq 20000 > src/sub/numbers; : > src/nothing; printf x > 'src/ü n'; printf '\000\001\377' > src/bytes
head -c 300000 /dev/urandom > src/sub/deep/noise
ln -s sub/numbers src/link; ln src/bytes src/hard; chmod 640 src/bytes; chmod 750 src/sub; chmod 4711 src/nothing
n=$(printf 'n%.0s' $(seq 120)); mkdir -p src/$n/$n; echo 1 > src/$n/$n/end
find src -exec touch -h -d '2020-01-02 03:04:05' {} +
list() { (cd "$1" && find src -printf '%p %m %T@ %l\n' | sort); }
same() { diff -r --no-dereference "$1/src" src && list "$1" > "$1.list" && list . > own.list && cmp "$1.list" own.list; rm -rf "$1"; mkdir "$1"; }
mkdir h o
"#;

fn run(name: &str, script: &str) {
    let root = std::env::temp_dir().join(format!("agentos-external-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&root);
    let (bin, work) = (root.join("bin"), root.join("work"));
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::create_dir_all(&work).unwrap();
    for command in agentos_archive::command_names() {
        symlink(env!("CARGO_BIN_EXE_agentos-archive"), bin.join(command)).unwrap();
    }
    let output = Command::new("/bin/sh")
        .args(["-c", &format!("{TREE}{script}")])
        .current_dir(&work)
        .env("B", &bin)
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .output()
        .unwrap();
    let _ = std::fs::remove_dir_all(&root);
    let text = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&text));
}

#[test]
#[ignore = "needs programs of the host: cargo xtask test-external"]
fn tar_both_ways() {
    run(
        "tar",
        r#"
for format in gnu pax; do for filter in '' -z -j -J --zstd; do
    tar --format=$format $filter -cf h.tar src; "$B/tar" $filter -xpf h.tar -C h; same h
    "$B/tar" --format=$format $filter -cf o.tar src; tar $filter -xpf o.tar -C o; same o
    tar $filter -tvf o.tar > theirs; "$B/tar" $filter -tvf o.tar > ours; cmp theirs ours
done; done
truncate -s 5M hole; printf x >> hole; printf y | dd of=hole bs=1 seek=3000000 conv=notrunc 2>/dev/null
tar -cSf s.tar --format=gnu hole; "$B/tar" -xOf s.tar | cmp - hole
for version in 0.0 0.1 1.0; do tar -cSf s.tar --format=pax --sparse-version=$version hole; "$B/tar" -xOf s.tar | cmp - hole; done
"#,
    );
}

#[test]
#[ignore = "needs programs of the host: cargo xtask test-external"]
fn zip_both_ways() {
    run(
        "zip",
        r#"
chmod 711 src/nothing
zip -qry h.zip src; "$B/unzip" -q h.zip -d h; diff -r --no-dereference h/src src
"$B/zip" -qry o.zip src; unzip -q o.zip -d o; diff -r --no-dereference o/src src
unzip -tq o.zip; "$B/unzip" -tq h.zip; unzip -v o.zip > theirs; "$B/unzip" -v o.zip > ours; cmp theirs ours
unzip -Z o.zip > theirs; "$B/zipinfo" o.zip > ours; cmp theirs ours
"#,
    );
}

#[test]
#[ignore = "needs programs of the host: cargo xtask test-external"]
fn compressors_both_ways() {
    run(
        "compressors",
        r#"
for tool in gzip bzip2 xz zstd; do for level in 1 6 9; do for file in src/nothing src/bytes src/sub/numbers src/sub/deep/noise; do
    "$B/$tool" -$level -c "$file" | $tool -dc | cmp - "$file"
    $tool -$level -c "$file" | "$B/$tool" -dc | cmp - "$file"
done; done; done
"#,
    );
}
