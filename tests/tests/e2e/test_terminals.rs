//! Terminals through the API: typing, seeing, signals, sizes, replay, hang-up. What is seen is looked at on a screen, as a
//! person would. The terminal of this program is in `test_cli_shell`.

use std::num::NonZero;
use std::time::Duration;

use agentos::{AgentOs, AgentOsConfig, Errno, Error, OpenShellOptions, ProcessOutput, ShellHandle, VmLimits};
use agentos_tests::{Sidecar, eventually, live_processes};

static SIDECAR: Sidecar = Sidecar::new();

/// Without anything new on the screen for so long, what is waited for does not come. Less than a test may take.
const PATIENCE: Duration = Duration::from_secs(40);

fn cells(number: u16) -> NonZero<u16> {
    NonZero::new(number).unwrap()
}

/// A terminal and what it shows.
struct Screen {
    shell: ShellHandle,
    output: ProcessOutput,
    screen: vt100::Parser,
}

impl Screen {
    async fn open(os: &AgentOs, command: &str, args: &[&str]) -> Screen {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        let options =
            OpenShellOptions { command: Some(command.to_owned()), args, ..OpenShellOptions::default() };
        Screen::of(os.open_shell(options).await.unwrap()).await
    }

    /// A shell that says nothing by itself but `$ `.
    async fn sh(os: &AgentOs) -> Screen {
        let mut screen = Screen::open(os, "bash", &["--norc", "-i"]).await;
        screen.keys("PS1='> '\r").await;
        screen.see("> ").await;
        screen
    }

    async fn of(shell: ShellHandle) -> Screen {
        let output = shell.data().await.unwrap();
        Screen { shell, output, screen: vt100::Parser::new(cells(24), cells(80), 0) }
    }

    async fn keys(&self, keys: &str) {
        self.shell.write(keys).await.unwrap();
    }

    fn text(&self) -> String {
        self.screen.screen().contents()
    }

    /// Waits until the screen has this line; one that does not come is told with what is shown instead.
    async fn see(&mut self, line: &str) {
        while !self.text().lines().any(|l| l.trim_end() == line.trim_end()) {
            match tokio::time::timeout(PATIENCE, self.output.next()).await {
                Ok(Some(chunk)) => self.screen.process(&chunk.unwrap().data),
                Ok(None) => panic!("the terminal ended without {line:?}:\n{}", self.text()),
                Err(_) => panic!("{line:?} does not come:\n{}", self.text()),
            }
        }
    }

    /// All that is still shown.
    async fn end(&mut self) -> String {
        while let Some(chunk) = self.output.next().await {
            self.screen.process(&chunk.unwrap().data);
        }
        self.text()
    }
}

/// Whether a program of this name runs.
async fn runs(os: &AgentOs, name: &str) -> bool {
    live_processes(os).await.iter().any(|process| process.command.ends_with(name))
}

#[test]
fn what_is_typed_is_echoed_and_read() {
    SIDECAR.test(async |os| {
        let mut cat = Screen::open(os, "cat", &[]).await;
        cat.keys("helloo\x7f world\r").await;
        // The echo, then what `cat` wrote.
        cat.see("hello world\nhello world".lines().next().unwrap()).await;
        eventually("both lines are shown", async || {
            if cat.text().matches("hello world").count() < 2 {
                let chunk = cat.output.next().await.unwrap().unwrap();
                cat.screen.process(&chunk.data);
            }
            cat.text().matches("hello world").count() == 2
        })
        .await;
        cat.keys("\x04").await;
        assert_eq!(cat.shell.wait().await.unwrap().exit_code, 0);
        cat.end().await;
    });
}

#[test]
fn the_program_has_a_terminal_of_the_size_asked_for() {
    SIDECAR.test(async |os| {
        let line =
            "test -t 0 && test -t 1 && test -t 2 && tty && stty size && echo \"$TERM/${COLUMNS-}/${LINES-}\"";
        let options = OpenShellOptions {
            command: Some("sh".to_owned()),
            args: vec!["-c".to_owned(), line.to_owned()],
            cols: Some(101),
            rows: Some(33),
            ..OpenShellOptions::default()
        };
        let mut screen = Screen::of(os.open_shell(options).await.unwrap()).await;
        let text = screen.end().await;
        assert_eq!(text.trim_end(), "/dev/pts/0\n33 101\nxterm-256color//");
        assert_eq!(screen.shell.wait().await.unwrap().exit_code, 0);
        assert!(matches!(
            os.open_shell(OpenShellOptions { cols: Some(0), ..OpenShellOptions::default() }).await,
            Err(Error::InvalidRequest { .. })
        ));
    });
}

#[test]
fn the_default_is_an_interactive_login_shell() {
    SIDECAR.test(async |os| {
        let shell = os.open_shell(OpenShellOptions::default()).await.unwrap();
        let mut screen = Screen::of(shell).await;
        screen.keys("echo \"$0 $-\" | tr -d Bmhs; shopt -q login_shell && echo login; exit 7\r").await;
        let text = screen.end().await;
        assert!(
            text.contains("-ba i") || text.lines().any(|l| l.starts_with("-ba") && l.contains('i')),
            "{text}"
        );
        assert!(text.lines().any(|l| l.trim() == "login"), "{text}");
        assert_eq!(screen.shell.wait().await.unwrap().exit_code, 7);
    });
}

#[test]
fn interrupt_stops_a_loop_and_the_shell_goes_on() {
    SIDECAR.test(async |os| {
        let mut screen = Screen::sh(os).await;
        screen.keys("while :; do sleep 1; done\r").await;
        eventually("the loop runs", async || runs(os, "sleep").await).await;
        screen.keys("\x03").await;
        screen.keys("echo status $?\r").await;
        screen.see("status 130").await;
        screen.keys("exit\r").await;
        screen.end().await;
    });
}

#[test]
fn interrupt_passes_what_was_typed_before_and_nobody_reads() {
    SIDECAR.test(async |os| {
        let mut screen = Screen::sh(os).await;
        screen.keys("sleep 1000\r").await;
        eventually("it runs", async || runs(os, "sleep").await).await;
        // More than the terminal holds, in messages of its own.
        for _ in 0..4 {
            screen.keys(&"echo never\n".repeat(2000)).await;
        }
        screen.keys("\x03").await;
        eventually("it ends", async || !runs(os, "sleep").await).await;
        screen.keys("\recho status $?\r").await;
        screen.see("status 130").await;
        assert!(!screen.text().lines().any(|line| line == "never"));
        screen.keys("exit\r").await;
        screen.end().await;
    });
}

#[test]
fn a_job_is_stopped_and_goes_on_in_the_foreground() {
    SIDECAR.test(async |os| {
        let mut screen = Screen::sh(os).await;
        screen.keys("cat\r").await;
        screen.keys("one\r").await;
        screen.see("one").await;
        eventually("the job runs", async || runs(os, "cat").await).await;
        screen.keys("\x1a").await;
        screen.keys("jobs\r").await;
        eventually("the job is stopped", async || {
            let processes = os.all_processes().await.unwrap();
            processes
                .iter()
                .any(|p| p.command.ends_with("cat") && p.status == agentos::ProcessStatus::Stopped)
        })
        .await;
        screen.keys("fg\rtwo\r").await;
        screen.see("two").await;
        screen.keys("\x04").await;
        screen.keys("echo back $?\r").await;
        screen.see("back 0").await;
        screen.keys("exit\r").await;
        screen.end().await;
    });
}

/// Whoever types faster than programs start means the program, whatever mode the terminal is in meanwhile.
#[test]
fn what_is_typed_ahead_is_for_the_program_that_the_line_starts() {
    SIDECAR.test(async |os| {
        for at_once in [true, false] {
            let mut screen = Screen::sh(os).await;
            let keys = ["cat -A\r", "one\r", "tw\x7fwo\r", "\x04", "echo status $?\r"];
            if at_once {
                screen.keys(&keys.concat()).await;
            } else {
                for key in keys {
                    screen.keys(key).await;
                }
            }
            for line in ["one$", "two$", "status 0"] {
                screen.see(line).await;
            }
            // An end of file typed while another program runs ends the one that reads it.
            screen.keys("sleep 0.2\rcat -A\rthree\r\x04echo status $?\r").await;
            for line in ["three$", "status 0"] {
                screen.see(line).await;
            }
            screen.keys("exit\r").await;
            screen.end().await;
        }
    });
}

/// The signal of a key reaches the program that is being started, and nothing of the line is done after it.
#[test]
fn a_key_that_comes_while_a_program_is_started_is_not_lost() {
    SIDECAR.test(async |os| {
        let mut screen = Screen::sh(os).await;
        for line in [
            // The shell itself gets it, as it does until the program has the terminal.
            "sleep 100$(/bin/kill -INT $$); echo went on",
            "sleep 100$(/bin/kill -INT $$) | cat; echo went on",
        ] {
            screen.keys(&format!("{line}\r")).await;
            screen.keys("echo status $?\r").await;
            screen.see("status 130").await;
            assert!(!screen.text().lines().any(|line| line.trim_end() == "went on"), "{}", screen.text());
            screen.keys("clear\r").await;
            screen.see(">").await;
        }
        // Many programs, and an interrupt in between or in one of them.
        for _ in 0..20 {
            screen.keys("clear; echo beg''un; while :; do /bin/true; done; echo went on\r").await;
            screen.see("begun").await;
            screen.keys("\x03").await;
            screen.keys("echo status $?\r").await;
            screen.see("status 130").await;
            assert!(!screen.text().lines().any(|line| line.trim_end() == "went on"), "{}", screen.text());
        }
        screen.keys("exit\r").await;
        screen.end().await;
    });
}

#[test]
fn a_new_size_is_seen_and_told() {
    SIDECAR.test(async |os| {
        let mut screen = Screen::sh(os).await;
        screen.keys("trap 'echo winch; stty size' WINCH; echo ready\r").await;
        screen.see("ready").await;
        screen.shell.resize(132, 50).await.unwrap();
        screen.screen.screen_mut().set_size(cells(50), cells(132));
        // A trap of a shell that waits for a line runs with the next command.
        screen.keys(":\r").await;
        screen.see("winch").await;
        screen.see("50 132").await;
        let listed = os.list_shells().await.unwrap();
        assert_eq!((listed[0].cols, listed[0].rows, listed[0].running), (132, 50, true));
        assert!(matches!(screen.shell.resize(0, 1).await, Err(Error::InvalidRequest { .. })));
        screen.keys("exit\r").await;
        screen.end().await;
    });
}

#[test]
fn a_late_reader_sees_what_was_shown() {
    SIDECAR.test(async |os| {
        let mut first = Screen::sh(os).await;
        first.keys("echo kept\r").await;
        first.see("kept").await;
        let offset = first.output.offset();
        drop(first.output);
        let mut again = Screen::of(first.shell.clone()).await;
        again.see("kept").await;
        // From where the first reader was, only what is new.
        let mut rest = os.on_shell_data_from(&again.shell.shell_id, offset).await.unwrap();
        again.keys("exit\r").await;
        let mut text = Vec::new();
        while let Some(chunk) = rest.next().await {
            let chunk = chunk.unwrap();
            assert!(chunk.offset >= offset);
            text.extend_from_slice(&chunk.data);
        }
        assert!(!String::from_utf8_lossy(&text).contains("kept"));
        again.end().await;
        // After the end too, while it is kept.
        let mut late = Screen::of(again.shell.clone()).await;
        assert!(late.end().await.contains("kept"));
    });
}

#[test]
fn closing_ends_every_process_of_the_session() {
    SIDECAR.test(async |os| {
        let mut screen = Screen::sh(os).await;
        screen.keys("trap '' HUP; sleep 1000 & (trap '' HUP; while :; do sleep 1; done) & cat\r").await;
        eventually("all of them run", async || runs(os, "cat").await && runs(os, "sleep").await).await;
        let waits = tokio::spawn({
            let shell = screen.shell.clone();
            async move { shell.wait().await }
        });
        // The wait is under way before the terminal is forgotten.
        os.list_shells().await.unwrap();
        tokio::task::yield_now().await;
        screen.shell.close().await.unwrap();
        assert!(live_processes(os).await.is_empty());
        // It ignores the hang-up: it ends with its input or is killed, and the wait for it ends.
        let _ = waits.await.unwrap();
        screen.end().await;
        assert!(os.list_shells().await.unwrap().is_empty());
    });
}

#[test]
fn closing_ends_a_session_that_multiplies_meanwhile() {
    let limits = VmLimits { processes: 48, ..VmLimits::default() };
    let config = AgentOsConfig { limits, ..AgentOsConfig::default() };
    SIDECAR.test_with(config, async |os| {
        let bomb = "trap '' HUP TERM; f() { f | f & }; f; while :; do f; sleep 0.01; done";
        let screen = Screen::open(os, "bash", &["-c", bomb]).await;
        eventually("it multiplies", async || live_processes(os).await.len() > 10).await;
        screen.shell.close().await.unwrap();
        assert!(live_processes(os).await.is_empty());
    });
}

#[test]
fn unknown_and_closed_terminals_are_not_found() {
    SIDECAR.test(async |os| {
        let screen = Screen::open(os, "cat", &[]).await;
        let id = screen.shell.shell_id.clone();
        screen.shell.close().await.unwrap();
        for id in [id.as_str(), "shell-0", "shell-", "x", ""] {
            let not_found = |result: Result<(), Error>| match result {
                Err(Error::ShellNotFound { shell_id }) => assert_eq!(shell_id, id),
                other => panic!("{other:?}"),
            };
            not_found(os.write_shell(id, "x").await);
            not_found(os.resize_shell(id, 1, 1).await);
            not_found(os.close_shell(id).await);
            not_found(os.wait_shell(id).await.map(|_| ()));
            not_found(os.on_shell_data(id).await.map(|_| ()));
        }
        let options =
            OpenShellOptions { command: Some("/no/such".to_owned()), ..OpenShellOptions::default() };
        match os.open_shell(options).await {
            Err(Error::Kernel { errno: Errno::ENOENT, .. }) => {}
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn typing_into_one_that_has_ended_is_an_error() {
    SIDECAR.test(async |os| {
        let mut screen = Screen::open(os, "true", &[]).await;
        screen.end().await;
        assert_eq!(screen.shell.wait().await.unwrap().exit_code, 0);
        eventually("its input is closed", async || {
            matches!(screen.shell.write("x").await, Err(Error::Kernel { errno: Errno::EIO, .. }))
        })
        .await;
        let listed = os.list_shells().await.unwrap();
        assert_eq!((listed.len(), listed[0].running, listed[0].exit_code), (1, false, Some(0)));
    });
}

#[test]
fn a_stalled_reader_stops_the_program_and_loses_nothing() {
    SIDECAR.test(async |os| {
        let options = OpenShellOptions {
            command: Some("sh".to_owned()),
            args: vec!["-c".to_owned(), "stty raw; head -c 20000000 /dev/zero; echo end >&2".to_owned()],
            ..OpenShellOptions::default()
        };
        let shell = os.open_shell(options).await.unwrap();
        let mut output = shell.data().await.unwrap();
        let mut bytes = 0;
        // It waits for us: it has not ended, though nothing is read for a while.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        assert!(os.list_shells().await.unwrap()[0].running);
        while let Some(chunk) = output.next().await {
            let chunk = chunk.unwrap();
            assert_eq!(chunk.offset, bytes);
            bytes += chunk.data.len() as u64;
        }
        assert!(bytes >= 20_000_000 + 4, "{bytes}");
        // Without a reader it does not wait, and only the end is kept.
        let unread = OpenShellOptions {
            command: Some("sh".to_owned()),
            args: vec!["-c".to_owned(), "stty raw; head -c 20000000 /dev/zero".to_owned()],
            ..OpenShellOptions::default()
        };
        let shell = os.open_shell(unread).await.unwrap();
        assert_eq!(shell.wait().await.unwrap().exit_code, 0);
        let mut late = shell.data().await.unwrap();
        let mut kept = 0;
        while let Some(chunk) = late.next().await {
            kept += chunk.unwrap().data.len();
        }
        // And what was under way when the program ended.
        assert!(kept <= (1 << 20) + (128 << 10), "{kept}");
    });
}

#[test]
fn terminals_are_limited_and_given_back() {
    let config =
        AgentOsConfig { limits: VmLimits { ptys: 2, ..VmLimits::default() }, ..AgentOsConfig::default() };
    SIDECAR.test_with(config, async |os| {
        let cat = || OpenShellOptions { command: Some("cat".to_owned()), ..OpenShellOptions::default() };
        let first = os.open_shell(cat()).await.unwrap();
        let _second = os.open_shell(cat()).await.unwrap();
        match os.open_shell(cat()).await {
            Err(Error::Limit { name, configured: 2, used: 2, requested: 1 }) => assert_eq!(name, "ptys"),
            other => panic!("{other:?}"),
        }
        first.close().await.unwrap();
        eventually("there is room again", async || match os.open_shell(cat()).await {
            Ok(third) => {
                third.close().await.unwrap();
                true
            }
            Err(_) => false,
        })
        .await;
        for shell in os.list_shells().await.unwrap() {
            os.close_shell(&shell.shell_id).await.unwrap();
        }
    });
}
