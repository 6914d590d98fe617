//! `agentos shell` on a terminal of the host, which script(1) makes: that it works, and that the terminal is as it was
//! after every way out.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use agentos_tests::{cli, eventually, program, watched};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

fn cells(number: u16) -> NonZero<u16> {
    NonZero::new(number).unwrap()
}

/// `agentos shell` on a terminal.
struct Host {
    folder: tempfile::TempDir,
    script: Child,
    keys: ChildStdin,
    output: ChildStdout,
    bytes: Vec<u8>,
    screen: vt100::Parser,
}

impl Host {
    fn start(arguments: &str) -> Host {
        let folder = tempfile::tempdir().unwrap();
        let quoted = program().display().to_string().replace('\'', r"'\''");
        let line = format!(
            "tty >tty; stty -g >before; sh -c 'echo $$ >pid; exec \"$0\" shell {arguments}' '{quoted}' 2>errors; \
             echo $? >status; stty -g >after"
        );
        let mut script = Command::new("script")
            .args(["-q", "-f", "-c", &line, "/dev/null"])
            .env("SHELL", "/bin/sh")
            .env("TERM", "xterm")
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("script(1) of util-linux is there");
        let (keys, output) = (script.stdin.take().unwrap(), script.stdout.take().unwrap());
        Host {
            folder,
            script,
            keys,
            output,
            bytes: Vec::new(),
            screen: vt100::Parser::new(cells(24), cells(80), 0),
        }
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default().trim().to_owned()
    }

    fn tty(&self) -> std::fs::File {
        std::fs::OpenOptions::new().read(true).write(true).open(PathBuf::from(self.file("tty"))).unwrap()
    }

    fn raw(&self) -> bool {
        !tcgetattr(self.tty()).unwrap().local_modes.contains(LocalModes::ICANON)
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.file("pid").parse().unwrap()).unwrap()
    }

    async fn keys(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).await.unwrap();
    }

    async fn take(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let n = self.output.read(&mut buffer).await.unwrap();
        self.bytes.extend_from_slice(&buffer[..n]);
        self.screen.process(&buffer[..n]);
        n > 0
    }

    /// Waits until the screen has a line that begins so.
    async fn see(&mut self, line: &str) {
        while !self.screen.screen().contents().lines().any(|l| l.starts_with(line)) {
            assert!(
                self.take().await,
                "it ended without {line:?}:\n{}\n{}",
                self.screen.screen().contents(),
                self.file("errors")
            );
        }
    }

    /// A shell that shows `> ` and is ready.
    async fn ready(&mut self) {
        self.keys("PS1='> '; echo rea''dy\r").await;
        self.see("ready").await;
        assert!(self.raw());
    }

    /// Waits for the end: the status, with the terminal as it was.
    async fn end(&mut self) -> String {
        while self.take().await {}
        self.script.wait().await.unwrap();
        assert_eq!(self.file("after"), self.file("before"), "the terminal is as it was");
        assert!(!self.file("before").is_empty());
        let screen = self.screen.screen();
        assert!(!screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste());
        self.file("status")
    }
}

/// Whether a process of the host has ended; perhaps nobody has waited for it.
fn ended(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    stat.is_empty() || stat.contains(") Z ")
}

/// Processes of the host whose parent is this one.
fn children(of: Pid) -> Vec<Pid> {
    let parent = |path: &Path| {
        let stat = std::fs::read_to_string(path.join("stat")).ok()?;
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse::<i32>().ok()
    };
    let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    processes
        .filter(|path| parent(path) == Some(of.as_raw_nonzero().get()))
        .filter_map(|path| Pid::from_raw(path.file_name()?.to_str()?.parse().ok()?))
        .collect()
}

#[test]
fn a_session_with_sizes_keys_and_a_status() {
    watched(async || {
        let mut host = Host::start("");
        host.ready().await;
        host.keys("echo $((6 * 7)) $TERM\r").await;
        host.see("42 xterm").await;
        tcsetwinsize(host.tty(), Winsize { ws_row: 31, ws_col: 99, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        host.screen.screen_mut().set_size(cells(31), cells(99));
        eventually("the new size is there", async || {
            host.keys("stty size\r").await;
            host.take().await;
            host.screen.screen().contents().contains("31 99")
        })
        .await;
        // What was typed before has all been done; an interrupt throws away what was not.
        host.keys("echo set''tled\r").await;
        host.see("settled").await;
        host.keys("echo star''ted; sleep 1000\r").await;
        host.see("started").await;
        // A key that comes just while the program is being started may still be the shell's: then it is pressed once more.
        eventually("it is interrupted", async || {
            host.keys("\x03").await;
            host.keys("echo inter''rupted $?\r").await;
            tokio::time::timeout(Duration::from_secs(3), host.see("interrupted 130")).await.is_ok()
        })
        .await;
        host.keys("exit 5\r").await;
        assert_eq!(host.end().await, "5");
    });
}

#[test]
fn what_a_program_leaves_switched_on_is_switched_off() {
    watched(async || {
        let mut host = Host::start(r#"-- sh -c "printf \"\\033[?1049h\\033[?25l\\033[?2004hfull\"; exit 3""#);
        assert_eq!(host.end().await, "3");
        assert!(String::from_utf8_lossy(&host.bytes).contains("\u{1b}[?2004hfull"), "it was shown");
    });
}

#[test]
fn a_signal_gives_the_terminal_back() {
    watched(async || {
        for (signal, status) in [(Signal::TERM, "143"), (Signal::HUP, "129"), (Signal::INT, "130")] {
            let mut host = Host::start("");
            host.ready().await;
            host.keys("printf '\\033[?1049h\\033[?25l'; echo al''t\r").await;
            host.see("alt").await;
            let sidecars = children(host.pid());
            assert_eq!(sidecars.len(), 1, "{sidecars:?}");
            kill_process(host.pid(), signal).unwrap();
            assert_eq!(host.end().await, status);
            eventually("its sidecar has ended", async || sidecars.iter().all(|pid| ended(*pid))).await;
        }
    });
}

#[test]
fn the_death_of_the_sidecar_gives_the_terminal_back() {
    watched(async || {
        let mut host = Host::start("");
        host.ready().await;
        for sidecar in children(host.pid()) {
            kill_process(sidecar, Signal::KILL).unwrap();
        }
        assert_eq!(host.end().await, "125");
        assert!(host.file("errors").contains("sidecar"), "{}", host.file("errors"));
    });
}

#[test]
fn what_acts_on_the_terminal_comes_through_only_if_allowed() {
    let line = r#"-- sh -c "printf \"\\033]0;title\\007\\033]52;c;aGk=\\007\\033[5i\\005seen\\n\"""#;
    watched(async || {
        let mut host = Host::start(line);
        assert_eq!(host.end().await, "0");
        let shown = String::from_utf8_lossy(&host.bytes).into_owned();
        assert!(shown.contains("seen") && !shown.contains(['\u{1b}', '\u{5}']), "{shown:?}");
        let mut host = Host::start(&format!("--allow-title --allow-clipboard {line}"));
        assert_eq!(host.end().await, "0");
        let shown = String::from_utf8_lossy(&host.bytes).into_owned();
        assert!(shown.contains("\u{1b}]0;title\u{7}\u{1b}]52;c;aGk=\u{7}seen"), "{shown:?}");
    });
}

#[test]
fn what_cannot_be_started_has_the_status_of_a_shell() {
    watched(async || {
        for (program, status) in [("no-such-program", "127"), ("/etc/passwd", "126")] {
            let mut host = Host::start(&format!("-- {program}"));
            assert_eq!(host.end().await, status);
            assert!(host.file("errors").contains(program), "{}", host.file("errors"));
        }
    });
}

#[test]
fn without_a_terminal_it_says_what_to_do() {
    watched(async || {
        let output = cli().arg("shell").stdin(Stdio::null()).output().await.unwrap();
        assert_eq!(output.status.code(), Some(125));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("not a terminal") && said.contains("agentos exec -- sh"), "{said}");
        assert!(output.stdout.is_empty());
    });
}
