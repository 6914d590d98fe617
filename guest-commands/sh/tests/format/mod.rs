//! The file format of recorded cases, and how one is run. Shared by the tests, which run our shell, and by
//! `cargo xtask record`, which runs the bash of the host. It decides nothing about what is right.
//!
//! A file may begin with `@@ bash VERSION`, the shell that gave the results; then the standard error counts, too. A case is
//! `### name`, the script, `--- STATUS`, the standard output; then, if there is any, `--- stderr` and the standard error, or
//! `--- stderr varies` where it is not the same twice. `--- no newline` ends an output that does not end in one. A negative
//! status is the signal that ended the shell. A case with `--- differs REASON` after all that holds another outcome in the
//! same form: what our shell gives instead, and why. `--- by sh` and `--- by stdin` before the script's first line run it as
//! `sh` and from standard input.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Command, Stdio};

/// What came out of a shell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Exit status; negative for a signal.
    pub(crate) status: i32,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error; none if it varies.
    pub(crate) stderr: Option<String>,
}

/// A recorded script.
#[derive(Clone, Debug, Default)]
pub(crate) struct Case {
    /// Its name, unique in its file.
    pub(crate) name: String,
    /// Run as `sh`, not as `bash`.
    pub(crate) sh: bool,
    /// The script comes on standard input, not by `-c`.
    pub(crate) stdin: bool,
    /// The script.
    pub(crate) script: String,
    /// What bash gave.
    pub(crate) recorded: Outcome,
    /// What we give instead, and why.
    pub(crate) differs: Option<(String, Outcome)>,
}

/// A file of cases.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cases {
    /// The version of the bash that gave the results, if the file says it.
    pub(crate) bash: Option<String>,
    /// The cases in their order.
    pub(crate) cases: Vec<Case>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Script,
    Stdout,
    Stderr,
}

impl Cases {
    /// Reads a file.
    ///
    /// # Panics
    /// If the text is not of this form.
    pub(crate) fn parse(text: &str) -> Self {
        let mut all = Cases::default();
        let mut part = Part::Script;
        for line in text.split_inclusive('\n') {
            let plain = line.trim_end_matches('\n');
            if let (Some(version), true) = (plain.strip_prefix("@@ bash "), all.cases.is_empty()) {
                all.bash = Some(version.to_owned());
                continue;
            }
            if let Some(name) = plain.strip_prefix("### ") {
                all.cases.push(Case { name: name.trim_end().to_owned(), ..Case::default() });
                part = Part::Script;
                continue;
            }
            let strict = all.bash.is_some();
            let case = all.cases.last_mut().expect("a file begins with ###");
            let directive = plain.strip_prefix("--- ");
            if part == Part::Script {
                match directive {
                    Some("by sh") if case.script.is_empty() => case.sh = true,
                    Some("by stdin") if case.script.is_empty() => case.stdin = true,
                    Some(status) if status.parse::<i32>().is_ok() => {
                        case.recorded.status = status.parse().unwrap_or_default();
                        case.recorded.stderr = strict.then(String::new);
                        part = Part::Stdout;
                    }
                    _ => case.script.push_str(line),
                }
                continue;
            }
            if let Some(reason) = directive.and_then(|d| d.strip_prefix("differs ")) {
                case.differs = Some((reason.to_owned(), Outcome::default()));
                continue;
            }
            let (outcome, ours) = match &mut case.differs {
                Some((_, outcome)) => (outcome, true),
                None => (&mut case.recorded, false),
            };
            match directive {
                Some("stderr") => {
                    outcome.stderr = Some(String::new());
                    part = Part::Stderr;
                }
                Some("stderr varies") => outcome.stderr = None,
                Some("no newline") => match (part, &mut outcome.stderr) {
                    (Part::Stderr, Some(stderr)) => drop(stderr.pop()),
                    _ => drop(outcome.stdout.pop()),
                },
                Some(status) if ours && status.parse::<i32>().is_ok() => {
                    outcome.status = status.parse().unwrap_or_default();
                    outcome.stderr = strict.then(String::new);
                    part = Part::Stdout;
                }
                _ => match (part, &mut outcome.stderr) {
                    (Part::Stderr, Some(stderr)) => stderr.push_str(line),
                    _ => outcome.stdout.push_str(line),
                },
            }
        }
        all
    }

    /// The text of a file. Only the recorder writes.
    #[allow(dead_code, reason = "the tests only read")]
    pub(crate) fn print(&self) -> String {
        let mut text = String::new();
        if let Some(version) = &self.bash {
            let _ = writeln!(text, "@@ bash {version}");
        }
        for case in &self.cases {
            let _ = writeln!(text, "### {}", case.name);
            if case.sh {
                text.push_str("--- by sh\n");
            }
            if case.stdin {
                text.push_str("--- by stdin\n");
            }
            text.push_str(&case.script);
            case.recorded.print(&mut text);
            if let Some((reason, outcome)) = &case.differs {
                let _ = writeln!(text, "--- differs {reason}");
                outcome.print(&mut text);
            }
        }
        text
    }
}

fn print_lines(lines: &str, text: &mut String) {
    text.push_str(lines);
    if !lines.is_empty() && !lines.ends_with('\n') {
        text.push_str("\n--- no newline\n");
    }
}

impl Outcome {
    fn print(&self, text: &mut String) {
        let _ = writeln!(text, "--- {}", self.status);
        print_lines(&self.stdout, text);
        match self.stderr.as_deref() {
            None => text.push_str("--- stderr varies\n"),
            Some("") => {}
            Some(stderr) => {
                text.push_str("--- stderr\n");
                print_lines(stderr, text);
            }
        }
    }

    /// Whether another outcome is this one, as far as this one says.
    pub(crate) fn holds(&self, other: &Outcome) -> bool {
        self.status == other.status
            && self.stdout == other.stdout
            && (self.stderr.is_none() || self.stderr == other.stderr)
    }
}

/// Runs a case with the shells in `shells`, in `scratch`, an empty directory. Both names are replaced in what comes out,
/// by `SHELL` and `DIR`.
///
/// # Errors
/// Those of starting a program.
pub(crate) fn run(case: &Case, shells: &Path, scratch: &Path) -> std::io::Result<Outcome> {
    let name = if case.sh { "sh" } else { "bash" };
    let mut command = Command::new(shells.join(name));
    command
        .arg0(name)
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", shells.display()))
        .env("HOME", "/root")
        .env("LC_ALL", "C.UTF-8")
        .env("TMPDIR", scratch)
        .current_dir(scratch)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if case.stdin {
        command.stdin(Stdio::piped());
    } else {
        command.args(["-c", case.script.trim_end_matches('\n')]).stdin(Stdio::null());
    }
    let mut child = command.spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // Scripts are shorter than what a pipe holds; one that ends early closes it.
        let _ = input.write_all(case.script.as_bytes());
    }
    let output = child.wait_with_output()?;
    let shown = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes)
            .replace(&shells.join(name).display().to_string(), "SHELL")
            .replace(&scratch.display().to_string(), "DIR")
    };
    Ok(Outcome {
        status: output.status.code().or(output.status.signal().map(|s| -s)).unwrap_or_default(),
        stdout: shown(&output.stdout),
        stderr: Some(shown(&output.stderr)),
    })
}
