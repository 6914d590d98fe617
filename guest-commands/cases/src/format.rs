//! The file format of recorded cases (`*.cases`).
//!
//! A file begins with the programs whose results it holds: `@@ bash VERSION` if the cases are those of the shell, else a
//! line `@@ oracle NAME: VERSION` for each command of importance, or `NAME=PROGRAM` if it has another name on the host
//! (`awk=gawk`); the recorder writes the version. Lines `@@ setup SCRIPT` come before each script.
//!
//! A case is `### name`, the script, `--- STATUS`, the standard output; then, if there is any, `--- stderr` and the
//! standard error, or `--- stderr varies` where it is not the same twice. A new case has any status, and nothing after it.
//! `--- no newline` ends an output that does not end in one. A byte that is no text is written `<hh>`. A negative status
//! is the signal that ended the script. A case with `--- differs REASON` after all that holds another outcome in the same
//! form: what our program gives instead, and why. Before the script's first line stand `--- by sh` or `--- by bash` (the
//! shell's cases run as `bash` else, those of commands as `sh`) and `--- by stdin` (from standard input).

use std::fmt::Write as _;

/// What came out of a script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Exit status; negative for a signal.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error; none if it varies.
    pub stderr: Option<String>,
}

/// What runs a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interpreter {
    /// `sh`.
    Sh,
    /// `bash`.
    Bash,
}

impl Interpreter {
    /// The name of the program.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Interpreter::Sh => "sh",
            Interpreter::Bash => "bash",
        }
    }
}

/// A recorded script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Its name, unique in its file.
    pub name: String,
    /// What runs it.
    pub by: Interpreter,
    /// The script comes on standard input, not by `-c`.
    pub stdin: bool,
    /// The script.
    pub script: String,
    /// What the host gave.
    pub recorded: Outcome,
    /// What we give instead, and why.
    pub differs: Option<(String, Outcome)>,
}

/// A command of the host whose results are recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oracle {
    /// The name that scripts use.
    pub name: String,
    /// What it is called on the host.
    pub program: String,
    /// What it said of its version.
    pub version: String,
}

/// A file of cases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cases {
    /// The version of the bash that gave the results, if the cases are those of the shell.
    pub bash: Option<String>,
    /// The commands that gave the results, as far as the file names them.
    pub oracles: Vec<Oracle>,
    /// What every script begins with.
    pub setup: Vec<String>,
    /// The cases in their order.
    pub cases: Vec<Case>,
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
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut all = Cases::default();
        let mut part = Part::Script;
        for line in text.split_inclusive('\n') {
            let plain = line.trim_end_matches('\n');
            if let (Some(header), true) = (plain.strip_prefix("@@ "), all.cases.is_empty()) {
                all.header(header);
                continue;
            }
            if let Some(name) = plain.strip_prefix("### ") {
                all.cases.push(all.new_case(name.trim_end()));
                part = Part::Script;
                continue;
            }
            let case = all.cases.last_mut().expect("a file begins with @@ or ###");
            let directive = plain.strip_prefix("--- ");
            if part == Part::Script {
                match directive {
                    Some("by sh") if case.script.is_empty() => case.by = Interpreter::Sh,
                    Some("by bash") if case.script.is_empty() => case.by = Interpreter::Bash,
                    Some("by stdin") if case.script.is_empty() => case.stdin = true,
                    Some(status) if status.parse::<i32>().is_ok() => {
                        case.recorded = Outcome::of_status(status);
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
                    *outcome = Outcome::of_status(status);
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

    fn header(&mut self, header: &str) {
        if let Some(version) = header.strip_prefix("bash ") {
            self.bash = Some(version.to_owned());
        } else if let Some(line) = header.strip_prefix("setup ") {
            self.setup.push(line.to_owned());
        } else if let Some(oracle) = header.strip_prefix("oracle ") {
            let (names, version) = oracle.split_once(": ").unwrap_or((oracle, ""));
            let (name, program) = names.split_once('=').unwrap_or((names, names));
            let [name, program, version] = [name, program, version].map(str::to_owned);
            self.oracles.push(Oracle { name, program, version });
        } else {
            panic!("@@ {header}: neither bash, oracle nor setup");
        }
    }

    fn interpreter(&self) -> Interpreter {
        if self.bash.is_some() { Interpreter::Bash } else { Interpreter::Sh }
    }

    fn new_case(&self, name: &str) -> Case {
        Case {
            name: name.to_owned(),
            by: self.interpreter(),
            stdin: false,
            script: String::new(),
            recorded: Outcome::of_status("0"),
            differs: None,
        }
    }

    /// The text of a file.
    #[must_use]
    pub fn print(&self) -> String {
        let mut text = String::new();
        if let Some(version) = &self.bash {
            let _ = writeln!(text, "@@ bash {version}");
        }
        for Oracle { name, program, version } in &self.oracles {
            let other = if name == program { String::new() } else { format!("={program}") };
            let _ = writeln!(text, "@@ oracle {name}{other}: {version}");
        }
        for line in &self.setup {
            let _ = writeln!(text, "@@ setup {line}");
        }
        for case in &self.cases {
            let _ = writeln!(text, "### {}", case.name);
            if case.by != self.interpreter() {
                let _ = writeln!(text, "--- by {}", case.by.name());
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
    fn of_status(status: &str) -> Self {
        let status = status.parse().expect("a status is a number");
        Outcome { status, stdout: String::new(), stderr: Some(String::new()) }
    }

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
    #[must_use]
    pub fn holds(&self, other: &Outcome) -> bool {
        self.status == other.status
            && self.stdout == other.stdout
            && (self.stderr.is_none() || self.stderr == other.stderr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_printed_again() {
        let text = "@@ oracle awk=gawk: GNU Awk 5.2\n@@ setup umask 022\n### a name\n--- by bash\necho a\nprintf b\n--- -9\na\nb\n\
                    --- no newline\n--- stderr\nwrong\n--- differs why\n--- 1\nb\n--- stderr varies\n### next\n:\n--- 0\n";
        let cases = Cases::parse(text);
        assert_eq!(cases.print(), text);
        let [first, next] = &cases.cases[..] else { panic!("two cases") };
        assert_eq!(
            (first.by, first.recorded.status, &*first.recorded.stdout),
            (Interpreter::Bash, -9, "a\nb")
        );
        assert_eq!(first.differs.as_ref().unwrap().1.stderr, None);
        assert_eq!((next.by, &*next.script), (Interpreter::Sh, ":\n"));
    }
}
