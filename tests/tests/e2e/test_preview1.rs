//! Programs of others, which know WASI preview 1 only: run by path, in a tree of memory and in a directory of the host,
//! held to the strict rules of preview 1. What is expected is what the public suite of preview 1 expects.

use agentos::{AgentOs, AgentOsConfig, ExecOptions, MountConfig};
use agentos_tests::Sidecar;
use agentos_tests::preview1::{
    Arg::{I, In, L, Out, S},
    Preview1,
};

static SIDECAR: Sidecar = Sidecar::new();

const OK: &[u16] = &[0];
const BADF: u16 = 8;
const EXIST: u16 = 20;
const INVAL: u16 = 28;
const ISDIR: u16 = 31;
const LOOP: u16 = 32;
const NAMETOOLONG: u16 = 37;
const NOENT: u16 = 44;
const NOTDIR: u16 = 54;
const NOTEMPTY: u16 = 55;
const NOTSOCK: u16 = 57;
const PERM: u16 = 63;
const NOTCAPABLE: u16 = 76;

const CREAT: i32 = 1;
const DIRECTORY: i32 = 2;
const EXCL: i32 = 4;
const TRUNC: i32 = 8;
const FOLLOW: i32 = 1;
const APPEND: i32 = 1;
const SYNC: i32 = 16;

const READ: u64 = 1 << 1;
const SEEK: u64 = 1 << 2;
const TELL: u64 = 1 << 5;
const WRITE: u64 = 1 << 6;
const SET_SIZE: u64 = 1 << 22;
const ALL: u64 = (1 << 30) - 1;

/// The slot of the scratch directory, and the first that a test may use.
const DIR: u32 = 0;
const A: u32 = 1;
const B: u32 = 2;
const C: u32 = 3;
const VECTOR: u32 = 4;
const BYTES: u32 = 5;
const COUNT: u32 = 6;

/// A program that begins with the scratch directory open in slot [`DIR`].
fn program() -> Preview1 {
    let mut p = Preview1::default();
    open(&mut p, I(3), "scratch", DIRECTORY, 0, 0, DIR, OK);
    p
}

#[expect(clippy::too_many_arguments, reason = "the call has as many")]
fn open(
    p: &mut Preview1,
    dir: agentos_tests::preview1::Arg<'_>,
    path: &str,
    oflags: i32,
    rights: u64,
    flags: i32,
    slot: u32,
    expected: &[u16],
) {
    let args = [dir, I(0), S(path), I(oflags), L(rights), L(0), I(flags), Out(slot)];
    p.call("path_open", &args, expected);
}

/// Makes an empty file.
fn create(p: &mut Preview1, path: &str) {
    open(p, In(DIR), path, CREAT, 0, 0, C, OK);
    p.call("fd_close", &[In(C)], OK);
}

async fn passes(os: &AgentOs, root: &str, p: &Preview1) {
    let path = format!("{root}/program.wasm");
    os.write_file(&path, p.module()).await.unwrap();
    os.chmod(&path, 0o755).await.unwrap();
    let options = ExecOptions { cwd: Some("/".into()), ..ExecOptions::default() };
    let done = os.exec_argv([&*path], options).await.unwrap();
    assert!(done.success(), "{root}: {} ({done:?})", p.step_of(done.exit_code));
}

/// Runs it in a tree of memory, and in a directory of the host, each as the root of a machine.
fn check(p: &Preview1) {
    let folder = tempfile::tempdir().unwrap();
    let mounts = [
        MountConfig::memory("/scratch"),
        MountConfig::host_dir("/scratch", folder.path().to_str().unwrap(), false),
    ];
    for mount in mounts {
        SIDECAR.test_with(AgentOsConfig::builder().mount(mount).build(), async |os| {
            passes(os, "/tmp", p).await;
        });
    }
}

#[test]
fn paths_stay_beneath_their_directory() {
    let mut p = program();
    p.call("path_create_directory", &[In(DIR), S("d")], OK);
    p.call("path_create_directory", &[In(DIR), S("d/e")], OK);
    create(&mut p, "d/e/f");
    open(&mut p, In(DIR), "/d/e/f", 0, 0, 0, A, &[PERM, NOTCAPABLE]);
    open(&mut p, In(DIR), "d/./e/../..//d/e/./f", 0, 0, 0, A, OK);
    open(&mut p, In(DIR), "d/../../scratch/d/e/f", 0, 0, 0, A, &[PERM, NOTCAPABLE]);
    open(&mut p, In(DIR), "d/e/f\0", 0, 0, 0, A, &[INVAL, NOENT]);
    open(&mut p, In(DIR), "d/e/f/", 0, 0, 0, A, &[NOTDIR]);
    open(&mut p, In(DIR), "d/e///", 0, 0, 0, A, OK);
    open(&mut p, In(DIR), "d/e/f", CREAT | EXCL, 0, 0, A, &[EXIST]);
    open(&mut p, In(DIR), "d/none", 0, 0, 0, A, &[NOENT]);
    open(&mut p, In(DIR), "d/e/f", 0, READ, 0, A, OK);
    open(&mut p, In(A), "g", CREAT, 0, 0, B, &[NOTDIR]);
    check(&p);
}

#[test]
fn links_are_followed_when_asked_and_never_absolute() {
    let mut p = program();
    p.call("path_symlink", &[S("/"), In(DIR), S("root")], &[PERM, NOTCAPABLE]);
    p.call("path_symlink", &[S("none"), In(DIR), S("dangling/")], &[NOENT]);
    p.call("path_symlink", &[S("self"), In(DIR), S("self")], OK);
    open(&mut p, In(DIR), "self", 0, 0, 0, A, &[LOOP]);
    p.call("path_create_directory", &[In(DIR), S("target")], OK);
    p.call("path_symlink", &[S("x"), In(DIR), S("target/")], &[EXIST]);
    p.call("path_symlink", &[S("target"), In(DIR), S("link")], OK);
    open(&mut p, In(DIR), "link", DIRECTORY, 0, 0, A, &[LOOP, NOTDIR]);
    open(&mut p, In(DIR), "link", 0, 0, 0, A, &[LOOP]);
    let follow = |name| [In(DIR), I(FOLLOW), S(name), I(DIRECTORY), L(0), L(0), I(0), Out(A)];
    p.call("path_open", &follow("link"), OK);
    p.call("path_readlink", &[In(DIR), S("link"), Out(BYTES), I(4), Out(COUNT)], OK);
    p.check(COUNT, 0, 0xffff_ffff, 4);
    p.check(BYTES, 0, u64::MAX, u64::from(u32::from_le_bytes(*b"targ")));
    p.call("path_filestat_get", &[In(DIR), I(0), S("link"), Out(A)], OK);
    p.check(A, 16, 0xff, 7);
    p.call("path_filestat_get", &[In(DIR), I(FOLLOW), S("link"), Out(A)], OK);
    p.check(A, 16, 0xff, 3);
    p.call("path_filestat_set_times", &[In(DIR), I(0), S("link"), L(0), L(5_000), I(4)], OK);
    p.call("path_filestat_get", &[In(DIR), I(0), S("link"), Out(A)], OK);
    p.check(A, 48, u64::MAX, 5_000);
    create(&mut p, "file");
    p.call("path_symlink", &[S("file"), In(DIR), S("to-file")], OK);
    p.call("path_open", &follow("to-file"), &[NOTDIR]);
    check(&p);
}

#[test]
fn names_are_made_linked_moved_and_removed_by_the_rules() {
    let mut p = program();
    create(&mut p, "file");
    p.call("path_link", &[In(DIR), I(0), S("file"), In(DIR), S("link")], OK);
    p.call("path_link", &[In(DIR), I(0), S("file"), In(DIR), S("link")], &[EXIST]);
    p.call("path_link", &[In(DIR), I(0), S("file"), In(DIR), S("new/")], &[NOENT]);
    p.call("path_link", &[In(DIR), I(FOLLOW), S("file"), In(DIR), S("new")], &[INVAL]);
    p.call("path_filestat_get", &[In(DIR), I(0), S("link"), Out(A)], OK);
    p.check(A, 24, u64::MAX, 2);
    p.call("path_create_directory", &[In(DIR), S("d")], OK);
    p.call("path_link", &[In(DIR), I(0), S("d"), In(DIR), S("new")], &[PERM]);
    p.call("path_rename", &[In(DIR), S("d/"), In(DIR), S("e/")], OK);
    p.call("path_create_directory", &[In(DIR), S("d")], OK);
    p.call("path_rename", &[In(DIR), S("d"), In(DIR), S("e")], OK);
    create(&mut p, "e/full");
    p.call("path_create_directory", &[In(DIR), S("d")], OK);
    p.call("path_rename", &[In(DIR), S("d"), In(DIR), S("e")], &[NOTEMPTY]);
    p.call("path_rename", &[In(DIR), S("d"), In(DIR), S("e/full")], &[NOTDIR]);
    p.call("path_rename", &[In(DIR), S("file"), In(DIR), S("d")], &[ISDIR]);
    p.call("path_unlink_file", &[In(DIR), S("d")], &[ISDIR]);
    p.call("path_unlink_file", &[In(DIR), S("d/")], &[ISDIR]);
    p.call("path_unlink_file", &[In(DIR), S("file/")], &[NOTDIR]);
    p.call("path_remove_directory", &[In(DIR), S("file")], &[NOTDIR]);
    p.call("path_remove_directory", &[In(DIR), S("file/")], &[NOTDIR]);
    p.call("path_remove_directory", &[In(DIR), S("e")], &[NOTEMPTY]);
    p.call("path_remove_directory", &[In(DIR), S("d/")], OK);
    check(&p);
}

#[test]
fn a_descriptor_does_what_it_was_opened_for() {
    let mut p = program();
    p.vector(VECTOR, BYTES, 8);
    open(&mut p, In(DIR), "f", CREAT, READ | WRITE | SEEK | TELL, 0, A, OK);
    p.call("fd_write", &[In(A), Out(VECTOR), I(1), Out(COUNT)], OK);
    open(&mut p, In(DIR), "f", 0, WRITE, 0, B, OK);
    p.call("fd_fdstat_get", &[In(B), Out(C)], OK);
    p.check(C, 8, READ | WRITE, WRITE);
    p.call("fd_read", &[In(B), Out(VECTOR), I(1), Out(COUNT)], &[BADF]);
    open(&mut p, In(DIR), "f", 0, READ, 0, B, OK);
    p.call("fd_write", &[In(B), Out(VECTOR), I(1), Out(COUNT)], &[BADF]);
    p.call("fd_read", &[In(B), Out(VECTOR), I(1), Out(COUNT)], OK);
    p.check(COUNT, 0, 0xffff_ffff, 8);
    open(&mut p, In(DIR), "f", 0, 0, 0, B, OK);
    p.call("fd_read", &[In(B), Out(VECTOR), I(1), Out(COUNT)], &[BADF]);
    p.call("fd_pread", &[In(B), Out(VECTOR), I(1), L(0), Out(COUNT)], &[BADF]);
    // What was given away does not come back.
    p.call("fd_fdstat_set_rights", &[In(A), L(SEEK | TELL), L(0)], OK);
    p.call("fd_fdstat_get", &[In(A), Out(C)], OK);
    p.check(C, 8, ALL, SEEK | TELL);
    p.call("fd_read", &[In(A), Out(VECTOR), I(1), Out(COUNT)], &[BADF]);
    p.call("fd_write", &[In(A), Out(VECTOR), I(1), Out(COUNT)], &[BADF]);
    p.call("fd_seek", &[In(A), L(0), I(0), Out(COUNT)], OK);
    p.call("fd_fdstat_set_rights", &[In(A), L(SEEK | READ), L(0)], &[NOTCAPABLE]);
    // A directory passes on what it has.
    p.call("fd_fdstat_set_rights", &[In(DIR), L(0), L(ALL & !READ)], OK);
    open(&mut p, In(DIR), "f", 0, READ, 0, B, &[NOTCAPABLE]);
    open(&mut p, In(DIR), "f", 0, 0, 0, B, OK);
    p.call("fd_fdstat_get", &[In(B), Out(C)], OK);
    p.check(C, 8, READ, 0);
    p.check(C, 16, READ, 0);
    check(&p);
}

#[test]
fn a_directory_is_no_file() {
    let mut p = program();
    p.vector(VECTOR, BYTES, 8);
    open(&mut p, In(DIR), ".", DIRECTORY, READ | WRITE, 0, A, &[ISDIR]);
    open(&mut p, In(DIR), ".", DIRECTORY, READ, 0, A, OK);
    open(&mut p, In(DIR), ".", 0, 0, 4, A, OK);
    p.call("fd_fdstat_get", &[In(A), Out(C)], OK);
    p.check(C, 0, 0xff, 3);
    p.check(C, 8, SEEK | TELL | WRITE | SET_SIZE, 0);
    p.call("fd_read", &[In(A), Out(VECTOR), I(1), Out(COUNT)], &[ISDIR, BADF]);
    p.call("fd_pread", &[In(A), Out(VECTOR), I(1), L(0), Out(COUNT)], &[ISDIR, BADF]);
    p.call("fd_write", &[In(A), Out(VECTOR), I(1), Out(COUNT)], &[ISDIR, BADF]);
    p.call("fd_pwrite", &[In(A), Out(VECTOR), I(1), L(0), Out(COUNT)], &[ISDIR, BADF]);
    p.call("fd_seek", &[In(A), L(0), I(1), Out(COUNT)], &[ISDIR, BADF]);
    p.call("fd_tell", &[In(A), Out(COUNT)], &[ISDIR, BADF]);
    p.call("fd_allocate", &[In(A), L(0), L(1)], &[ISDIR, BADF]);
    p.call("fd_filestat_set_size", &[In(A), L(0)], &[ISDIR, INVAL]);
    check(&p);
}

#[test]
fn sizes_offsets_flags_and_times_are_exact() {
    let mut p = program();
    p.vector(VECTOR, BYTES, 8);
    open(&mut p, In(DIR), "f", CREAT, READ | WRITE, APPEND | SYNC, A, OK);
    p.call("fd_fdstat_get", &[In(A), Out(C)], OK);
    p.check(C, 2, (APPEND | SYNC) as u64, (APPEND | SYNC) as u64);
    p.call("fd_write", &[In(A), Out(VECTOR), I(1), Out(COUNT)], OK);
    p.call("fd_seek", &[In(A), L(0), I(0), Out(COUNT)], OK);
    p.call("fd_write", &[In(A), Out(VECTOR), I(1), Out(COUNT)], OK);
    p.call("fd_tell", &[In(A), Out(COUNT)], OK);
    p.check(COUNT, 0, u64::MAX, 16);
    p.call("fd_pwrite", &[In(A), Out(VECTOR), I(1), L(0), Out(COUNT)], OK);
    p.call("fd_tell", &[In(A), Out(COUNT)], OK);
    p.check(COUNT, 0, u64::MAX, 16);
    p.call("fd_fdstat_set_flags", &[In(A), I(0)], OK);
    p.call("fd_seek", &[In(A), L((-4_i64).cast_unsigned()), I(1), Out(COUNT)], OK);
    p.check(COUNT, 0, u64::MAX, 12);
    p.call("fd_seek", &[In(A), L((-40_i64).cast_unsigned()), I(1), Out(COUNT)], &[INVAL]);
    p.call("fd_filestat_set_size", &[In(A), L(100)], OK);
    p.call("fd_allocate", &[In(A), L(90), L(20)], OK);
    p.call("fd_allocate", &[In(A), L(10), L(10)], OK);
    p.call("fd_advise", &[In(A), L(10), L(50), I(0)], OK);
    p.call("fd_filestat_get", &[In(A), Out(B)], OK);
    p.check(B, 32, u64::MAX, 110);
    p.call("fd_filestat_set_times", &[In(A), L(1), L(7_000_000_123), I(4)], OK);
    p.call("fd_filestat_set_times", &[In(A), L(1), L(2), I(4 | 8)], &[INVAL]);
    p.call("fd_filestat_set_times", &[In(A), L(1), L(2), I(1 | 2)], &[INVAL]);
    p.call("path_filestat_get", &[In(DIR), I(0), S("f"), Out(B)], OK);
    p.check(B, 48, u64::MAX, 7_000_000_123);
    open(&mut p, In(DIR), "f", TRUNC, WRITE, 0, C, OK);
    p.call("fd_filestat_get", &[In(A), Out(B)], OK);
    p.check(B, 32, u64::MAX, 0);
    check(&p);
}

#[test]
fn preopens_are_a_table_of_their_own() {
    let mut p = program();
    p.call("fd_prestat_get", &[I(3), Out(A)], OK);
    p.check(A, 0, u64::MAX, 1 << 32);
    p.call("fd_prestat_dir_name", &[I(3), Out(BYTES), I(0)], &[INVAL, NAMETOOLONG]);
    p.call("fd_prestat_dir_name", &[I(3), Out(BYTES), I(2)], OK);
    p.check(BYTES, 0, 0xff, u64::from(b'/'));
    p.call("fd_prestat_get", &[I(4), Out(A)], &[BADF]);
    p.call("sock_shutdown", &[I(3), I(1)], &[BADF]);
    open(&mut p, In(DIR), "f", CREAT, READ | WRITE, 0, A, OK);
    p.call("sock_shutdown", &[In(A), I(1)], &[NOTSOCK]);
    open(&mut p, In(DIR), "g", CREAT, READ, 0, B, OK);
    p.call("fd_renumber", &[In(B), In(A)], OK);
    p.call("fd_close", &[In(B)], &[BADF]);
    p.call("fd_renumber", &[In(A), In(B)], &[BADF]);
    p.call("fd_fdstat_get", &[In(A), Out(C)], OK);
    p.check(C, 8, READ | WRITE, READ);
    // A descriptor that takes the number of a preopen is meant by every call.
    p.call("fd_filestat_get", &[In(DIR), Out(A)], OK);
    p.call("fd_renumber", &[In(DIR), I(3)], OK);
    p.call("fd_fdstat_get", &[In(DIR), Out(C)], &[BADF]);
    p.call("path_filestat_get", &[I(3), I(0), S("f"), Out(B)], OK);
    p.call("fd_close", &[I(3)], OK);
    p.call("fd_fdstat_get", &[I(3), Out(C)], &[BADF]);
    check(&p);
}

#[test]
fn a_listing_has_dots_and_cookies_and_streams_can_be_polled() {
    let mut p = program();
    p.call("path_create_directory", &[In(DIR), S("d")], OK);
    open(&mut p, In(DIR), "d", DIRECTORY, 0, 0, A, OK);
    let list = |cookie| [In(A), Out(BYTES), I(256), L(cookie), Out(COUNT)];
    p.call("fd_readdir", &list(0), OK);
    // `.` and `..`: twice 24 bytes and the names.
    p.check(COUNT, 0, 0xffff_ffff, 51);
    create(&mut p, "d/name");
    p.call("fd_readdir", &list(0), OK);
    p.check(COUNT, 0, 0xffff_ffff, 79);
    p.call("fd_readdir", &list(2), OK);
    p.check(COUNT, 0, 0xffff_ffff, 28);
    p.check(BYTES, 16, 0xffff_ffff, 4);
    p.check(BYTES, 20, 0xff, 4);
    // The standard output can be written, long before the clock is due.
    p.vector(VECTOR, BYTES, 0);
    p.call("poll_oneoff", &[I(150_000), I(140_000), I(0), Out(COUNT)], &[INVAL]);
    p.call("clock_res_get", &[I(1), Out(B)], OK);
    for fd in [0, 1, 2] {
        open(&mut p, In(DIR), "f", CREAT, 0, 0, B, OK);
        p.call("fd_renumber", &[I(fd), In(B)], OK);
        p.call("fd_fdstat_get", &[In(B), Out(C)], OK);
        p.call("fd_fdstat_get", &[I(fd), Out(C)], &[BADF]);
    }
    check(&p);
}

#[test]
fn the_environment_is_exactly_what_was_given() {
    let mut p = Preview1::default();
    p.call("environ_sizes_get", &[Out(A), Out(B)], OK);
    p.check(A, 0, 0xffff_ffff, 1);
    p.check(B, 0, 0xffff_ffff, "ONE=1\0".len() as u64);
    SIDECAR.test(async |os| {
        os.write_file("/tmp/p", p.module()).await.unwrap();
        os.chmod("/tmp/p", 0o755).await.unwrap();
        let options = ExecOptions {
            cwd: Some("/".into()),
            clear_env: true,
            env: [("ONE".to_owned(), "1".to_owned())].into(),
            ..ExecOptions::default()
        };
        let done = os.exec_argv(["/tmp/p"], options).await.unwrap();
        assert!(done.success(), "{} ({done:?})", p.step_of(done.exit_code));
    });
}
