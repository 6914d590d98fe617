//! Running one case, in an empty directory and a clean environment. What is run is the caller's choice.

use std::fmt::Write as _;
use std::io::{self, Read, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::format::{Case, Outcome};

/// The longest that a script may take; the slowest recorded ones take some seconds on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// The shells that a case of the shell is about.
#[derive(Clone, Copy, Debug)]
pub struct Shells<'a> {
    /// Holds `sh` and `bash`.
    pub folder: &'a Path,
}

/// The commands that a case is about.
#[derive(Clone, Copy, Debug)]
pub struct Commands<'a> {
    /// Holds them; in scripts it is `$B`, for names that are builtins of the shell.
    pub folder: &'a Path,
    /// What else is in `PATH`, such as `:/usr/bin`.
    pub others: &'a str,
    /// Holds `sh` and `bash`, which run the scripts.
    pub shells: &'a Path,
    /// What every script begins with.
    pub setup: &'a [String],
}

impl Shells<'_> {
    /// Runs a case in `scratch`, an empty directory. The names of both are replaced in what comes out, by `SHELL` and `DIR`.
    ///
    /// # Errors
    /// Those of starting a program.
    pub fn run(&self, case: &Case, scratch: &Path) -> io::Result<Outcome> {
        let name = case.by.name();
        let shell = self.folder.join(name);
        let mut command = Command::new(&shell);
        command
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", self.folder.display()))
            .env("HOME", "/root");
        let (shell, scratch_name) = (shell.display().to_string(), scratch.display().to_string());
        run(command, case, &case.script, scratch, &[(&shell, "SHELL"), (&scratch_name, "DIR")])
    }
}

impl Commands<'_> {
    /// Runs a case in `scratch`, an empty directory, which is `DIR` in what comes out. Names of programs lose their folder.
    ///
    /// # Errors
    /// Those of starting a program.
    pub fn run(&self, case: &Case, scratch: &Path) -> io::Result<Outcome> {
        let mut command = Command::new(self.shells.join(case.by.name()));
        command
            .env_clear()
            .env("PATH", format!("{}{}", self.folder.display(), self.others))
            .env("B", self.folder)
            .env("HOME", scratch)
            .env("TZ", "UTC")
            // The host's own settings of git are not the VM's.
            .env("GIT_CONFIG_NOSYSTEM", "1");
        let script = case.with_setup(self.setup);
        let (folder, scratch_name) = (format!("{}/", self.folder.display()), scratch.display().to_string());
        run(command, case, &script, scratch, &[(&folder, ""), (&scratch_name, "DIR")])
    }
}

fn run(
    mut command: Command,
    case: &Case,
    script: &str,
    scratch: &Path,
    names: &[(&str, &str)],
) -> io::Result<Outcome> {
    command
        .arg0(case.by.name())
        .env("LC_ALL", "C.UTF-8")
        .env("TMPDIR", scratch)
        .current_dir(scratch)
        .process_group(0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if case.stdin {
        command.stdin(Stdio::piped());
    } else {
        command.args(["-c", script.trim_end_matches('\n')]).stdin(Stdio::null());
    }
    let mut child = command.spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // Scripts are shorter than what a pipe holds; one that ends early closes it.
        let _ = input.write_all(script.as_bytes());
    }
    let outputs = [reader(child.stdout.take()), reader(child.stderr.take())];
    let end = wait(&mut child)?;
    let [stdout, stderr] = outputs.map(|output| output.join().unwrap_or_default());
    let status = end.code().or(end.signal().map(|s| -s)).unwrap_or_default();
    Ok(Outcome::of(status, [&stdout, &stderr], names))
}

fn reader(stream: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            // What was read before an error is the output.
            let _ = stream.read_to_end(&mut bytes);
        }
        bytes
    })
}

/// Waits for a script, and kills its group when it takes too long: then nothing of it is left that holds the outputs.
fn wait(child: &mut Child) -> io::Result<ExitStatus> {
    let (begin, mut pause) = (Instant::now(), Duration::from_millis(1));
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if begin.elapsed() > LIMIT {
            let _ = Command::new("kill").args(["-9", "--", &format!("-{}", child.id())]).status();
            child.wait()?;
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("takes longer than {LIMIT:?}")));
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(16));
    }
}

impl Case {
    /// The script after what every script of its file begins with.
    #[must_use]
    pub fn with_setup(&self, setup: &[String]) -> String {
        let mut script = String::new();
        for line in setup {
            let _ = writeln!(script, "{line}");
        }
        script.push_str(&self.script);
        script
    }
}

impl Outcome {
    /// That of a script with this status and these outputs, in which `names` are replaced.
    #[must_use]
    pub fn of(status: i32, outputs: [&[u8]; 2], names: &[(&str, &str)]) -> Self {
        let [stdout, stderr] =
            outputs.map(|bytes| names.iter().fold(visible(bytes), |text, (from, to)| text.replace(from, to)));
        Outcome { status, stdout, stderr: Some(stderr) }
    }
}

/// What output looks like in a file of cases: bytes that are not text in hexadecimal.
fn visible(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' | '\t' => out.push(c),
                c if c.is_control() => drop(write!(out, "<{:02x}>", u32::from(c))),
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "<{byte:02x}>");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn bytes_that_are_no_text_are_shown() {
        assert_eq!(visible(b"a\tb\n\x1b[m\xff\xc3\xa9"), "a\tb\n<1b>[m<ff>\u{e9}");
    }
}
