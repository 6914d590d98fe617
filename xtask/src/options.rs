//! The options of the host's commands, as their own `--help` lists them: the data file of COMPATIBILITY.md. It knows nothing
//! of what ours have.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use super::compatibility::names;

const FILE: &str = "guest-commands/compatibility/options.txt";
const HEAD: &str = "# The options that commands of a GNU system list in their --help, by `cargo xtask record --options`: a line\n\
                    # `NAME: VERSION`, then its options.\n";

/// What looks like an option in a help text and is none.
const NOT: [(&str, &str); 1] = [("cut", "-M")];

/// What a command of the host says of itself.
pub(crate) struct Known {
    /// The first line of its version.
    pub(crate) version: String,
    /// Its options, with their dashes.
    pub(crate) options: BTreeSet<String>,
}

/// Asks the host's commands, and writes the file. What the host lacks stays as it was recorded elsewhere.
pub(crate) fn record(root: &Path) -> ExitCode {
    let mut all = read(root).unwrap_or_default();
    let commands = names(root);
    all.retain(|name, _| commands.contains(name));
    for name in commands {
        match ask(&name, "--help") {
            Some(help) => {
                let first =
                    |text: String| text.lines().find(|l| !l.is_empty()).unwrap_or_default().to_owned();
                let version = ask(&name, "--version").map_or(String::new(), first);
                let mut options = listed(&help);
                options.retain(|option| !NOT.contains(&(&*name, option)));
                all.insert(name, Known { version, options });
            }
            None => println!("{name}: not on this host"),
        }
    }
    let mut text = HEAD.to_owned();
    for (name, Known { version, options }) in &all {
        let _ = write!(text, "{name}: {version}");
        for (n, option) in options.iter().enumerate() {
            let _ = write!(text, "{}{option}", if n % 12 == 0 { "\n  " } else { " " });
        }
        text.push('\n');
    }
    let path = root.join(FILE);
    match fs::write(&path, text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("record: {}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

/// Reads the file.
pub(crate) fn read(root: &Path) -> Result<BTreeMap<String, Known>, String> {
    let path = root.join(FILE);
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut all: BTreeMap<String, Known> = BTreeMap::new();
    let mut last = String::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if line.starts_with(' ') {
            let known = all.get_mut(&last).ok_or("options stand before the first command")?;
            known.options.extend(line.split_whitespace().map(str::to_owned));
        } else if let Some((name, version)) = line.split_once(':') {
            last = name.to_owned();
            all.insert(last.clone(), Known { version: version.trim().to_owned(), options: BTreeSet::new() });
        }
    }
    Ok(all)
}

fn ask(name: &str, option: &str) -> Option<String> {
    let mut command = Command::new("timeout");
    // A name of its own: the shell's builtin is not asked.
    command.args(["5", "env", "LC_ALL=C", name, option]).stdin(Stdio::null());
    let output = command.output().ok()?;
    if matches!(output.status.code(), Some(124..=127)) {
        return None;
    }
    Some(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// The options of a help text: what stands at the beginning of indented lines up to a gap, and all words of lists of tests.
fn listed(help: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut list = false;
    for line in help.lines() {
        let words = line.trim_start();
        if line == words {
            // `find` lists its words without an explanation, below headings and after `:`.
            list = line.ends_with(':')
                || line.contains("): ")
                || line.contains("tests (")
                || line.contains("actions");
        }
        if line != words && words.starts_with('-') {
            let names = words.split("  ").next().unwrap_or(words).split('\t').next().unwrap_or(words);
            let many = list && names.split(' ').filter(|w| w.starts_with('-') && w.len() > 2).count() > 2;
            for word in names.split([' ', ',', '|', '/']) {
                option(word, &mut found);
                if !many && !names.contains([',', '|', '/']) {
                    break;
                }
            }
        }
    }
    found
}

fn option(word: &str, found: &mut BTreeSet<String>) {
    let dashes = word.len() - word.trim_start_matches('-').len();
    let name =
        word[dashes..].split(['=', '[', '<', '(', ':', ';', '.', '{', '"', '\'']).next().unwrap_or_default();
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let shown = match dashes {
        2 if plain && name.len() > 1 => format!("--{name}"),
        1 if plain && name.len() == 1 => format!("-{name}"),
        1 if plain
            && name.len() > 2
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()) =>
        {
            format!("-{name}")
        }
        // The argument of a letter may stand at it, as in -nN.
        1 if plain && name[1..].chars().all(|c| c.is_ascii_uppercase()) && !name.starts_with("NUM") => {
            format!("-{}", &name[..1])
        }
        _ => return,
    };
    found.insert(shown);
}

#[cfg(test)]
mod tests {
    use super::listed;

    #[test]
    fn options_are_found_in_help_texts() {
        let help = "Usage: x [OPTION]... -z\n  -a, --all  every -q\n      --color[=WHEN]  red\n  -n N, --lines=N\n  -cN\n\
                    tests (N is +N or -N): -amin N\n      -newer FILE -empty -size N -name X\n";
        let found: Vec<_> = listed(help).into_iter().collect();
        assert_eq!(
            found,
            ["--all", "--color", "--lines", "-a", "-c", "-empty", "-n", "-name", "-newer", "-size"]
        );
    }
}
