//! Programs that an agent runs through the driver: started by the host's launcher, their output kept from the end, and all
//! of them ended with the session. It decides nothing about what may be run.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::client::Refusal;
use super::member;
use super::translate::TerminalOutput;
use crate::process::{Exit, LaunchSpec, Launcher, Signal};

/// Most terminals at once.
const MAX: usize = 16;
/// Most bytes of output that are kept of each; also what is kept if nobody says.
const MAX_OUTPUT: usize = 1 << 20;
/// How long the last output is waited for after the end of a program.
const REST: Duration = Duration::from_millis(200);

/// The end of what a program wrote.
#[derive(Debug, Default)]
struct Kept {
    bytes: VecDeque<u8>,
    limit: usize,
    truncated: bool,
}

impl Kept {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        let more = self.bytes.len().saturating_sub(self.limit);
        self.truncated |= more > 0;
        self.bytes.drain(..more);
    }

    /// As text; what was cut begins with a whole character.
    fn text(&self) -> String {
        let (a, b) = self.bytes.as_slices();
        let all = [a, b].concat();
        let cut = |byte: &&u8| self.truncated && **byte & 0xC0 == 0x80;
        let skip = all.iter().take(3).take_while(cut).count();
        String::from_utf8_lossy(all.get(skip..).unwrap_or_default()).into_owned()
    }
}

/// One program.
struct Terminal {
    kept: Arc<Mutex<Kept>>,
    exit: watch::Receiver<Option<Exit>>,
    kill: CancellationToken,
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.kill.cancel();
    }
}

#[derive(Default)]
struct All {
    by_id: HashMap<String, Arc<Terminal>>,
    /// Of those that were released: tools go on showing them.
    released: VecDeque<(String, TerminalOutput)>,
    count: u64,
    /// Of those being started.
    starting: usize,
    over: bool,
}

/// The programs of a session.
pub(super) struct Terminals {
    launcher: Arc<dyn Launcher>,
    cwd: String,
    all: Mutex<All>,
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        6 => "SIGABRT",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        other => return format!("SIG{other}"),
    };
    name.to_owned()
}

fn status(exit: Exit) -> Value {
    json!({"exitCode": exit.code, "signal": exit.signal.map(signal_name)})
}

async fn keep(mut from: Box<dyn AsyncRead + Send + Unpin>, kept: Arc<Mutex<Kept>>) {
    let mut buffer = vec![0; 8192];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        kept.lock().push(buffer.get(..n).unwrap_or_default());
    }
}

/// A place that is given back if no program comes of it.
struct Place<'a>(&'a Terminals);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.all.lock().starting -= 1;
    }
}

/// What is to be started.
fn spec(params: &Value, cwd: &str) -> Result<LaunchSpec, Refusal> {
    let program = member::text(params, "command").filter(|program| !program.is_empty());
    let program = program.ok_or_else(|| Refusal::params("no command"))?.to_owned();
    let args: Option<Vec<String>> =
        member::list(params, "args").iter().map(|arg| arg.as_str().map(str::to_owned)).collect();
    let args = args.ok_or_else(|| Refusal::params("an argument is no text"))?;
    let pair =
        |of: &Value| Some((member::text(of, "name")?.to_owned(), member::text(of, "value")?.to_owned()));
    let env: Option<BTreeMap<String, String>> = member::list(params, "env").iter().map(pair).collect();
    let env = env.ok_or_else(|| Refusal::params("a variable is no name and value"))?;
    let cwd = member::text(params, "cwd").unwrap_or(cwd).to_owned();
    Ok(LaunchSpec { program, args, env, cwd })
}

impl Terminals {
    pub(super) fn new(launcher: Arc<dyn Launcher>, cwd: String) -> Self {
        Terminals { launcher, cwd, all: Mutex::default() }
    }

    fn reserve(&self) -> Result<Place<'_>, Refusal> {
        let mut all = self.all.lock();
        if all.over || all.by_id.len() + all.starting >= MAX {
            return Err(Refusal::failed(format!("more than {MAX} terminals")));
        }
        all.starting += 1;
        Ok(Place(self))
    }

    /// Starts a program; gives its id.
    pub(super) async fn create(&self, params: &Value) -> Result<String, Refusal> {
        let spec = spec(params, &self.cwd)?;
        let place = self.reserve()?;
        let wanted = member::count(params, "outputByteLimit").and_then(|limit| usize::try_from(limit).ok());
        let limit = wanted.unwrap_or(MAX_OUTPUT).min(MAX_OUTPUT);
        let launched = self.launcher.launch(spec).await.map_err(|error| Refusal::failed(error.message))?;
        let kept = Arc::new(Mutex::new(Kept { limit, ..Kept::default() }));
        let readers =
            [launched.stdout, launched.stderr].map(|from| tokio::spawn(keep(from, Arc::clone(&kept))));
        // It reads nothing.
        drop(launched.stdin);
        let (ended, exit) = watch::channel(None);
        let kill = CancellationToken::new();
        let (handle, killed) = (launched.handle, kill.clone());
        tokio::spawn(async move {
            let exit = tokio::select! {
                exit = handle.wait() => exit,
                () = killed.cancelled() => {
                    handle.signal(Signal::Kill);
                    handle.wait().await
                }
            };
            let _ = tokio::time::timeout(REST, async {
                for reader in readers {
                    let _ = reader.await;
                }
            })
            .await;
            let _ = ended.send(Some(exit));
        });
        let terminal = Arc::new(Terminal { kept, exit, kill });
        drop(place);
        let mut all = self.all.lock();
        if all.over {
            return Err(Refusal::failed("the session has ended"));
        }
        all.count += 1;
        let id = format!("terminal-{}", all.count);
        all.by_id.insert(id.clone(), terminal);
        Ok(id)
    }

    fn get(&self, id: &str) -> Result<Arc<Terminal>, Refusal> {
        self.all.lock().by_id.get(id).cloned().ok_or_else(|| Refusal::missing("no such terminal"))
    }

    /// What a program has written, and how it ended if it has.
    pub(super) fn read(&self, id: &str) -> Result<Value, Refusal> {
        let terminal = self.get(id)?;
        let exit = *terminal.exit.borrow();
        let kept = terminal.kept.lock();
        let mut answer = json!({"output": kept.text(), "truncated": kept.truncated});
        if let Some(exit) = exit {
            answer["exitStatus"] = status(exit);
        }
        Ok(answer)
    }

    /// Waits for the end of a program.
    pub(super) async fn wait(&self, id: &str) -> Result<Value, Refusal> {
        let mut exit = self.get(id)?.exit.clone();
        let ended = exit.wait_for(Option::is_some).await;
        Ok(status(ended.ok().and_then(|exit| *exit).unwrap_or_default()))
    }

    /// Kills a program; what it wrote stays.
    pub(super) fn kill(&self, id: &str) -> Result<Value, Refusal> {
        self.get(id)?.kill.cancel();
        Ok(json!({}))
    }

    /// Kills a program and forgets it.
    pub(super) fn release(&self, id: &str) -> Result<Value, Refusal> {
        let output = self.seen(id);
        let mut all = self.all.lock();
        let removed = all.by_id.remove(id).ok_or_else(|| Refusal::missing("no such terminal"))?;
        if let Some(output) = output {
            all.released.push_back((id.to_owned(), output));
            let more = all.released.len().saturating_sub(MAX);
            all.released.drain(..more);
        }
        drop(all);
        removed.kill.cancel();
        Ok(json!({}))
    }

    /// What a program wrote, also of one that was released.
    pub(super) fn seen(&self, id: &str) -> Option<TerminalOutput> {
        let all = self.all.lock();
        match all.by_id.get(id) {
            Some(terminal) => {
                let code = terminal.exit.borrow().and_then(|exit| exit.code);
                Some((terminal.kept.lock().text(), code))
            }
            None => all.released.iter().rev().find(|(of, _)| of == id).map(|(_, output)| output.clone()),
        }
    }

    /// Kills all programs.
    pub(super) fn kill_all(&self) {
        for terminal in self.all.lock().by_id.values() {
            terminal.kill.cancel();
        }
    }

    /// Kills all programs, and starts no more.
    pub(super) fn end(&self) {
        let all = {
            let mut all = self.all.lock();
            all.over = true;
            std::mem::take(&mut all.by_id)
        };
        drop(all);
    }
}

#[cfg(test)]
mod tests {
    use agentos_acp::envelope::code::{INVALID_PARAMS, NOT_FOUND};

    use super::*;
    use crate::testing::ScriptedLauncher;

    /// Terminals whose programs write `text` and end with 3, or run until they are killed.
    fn terminals(text: &'static str, ends: bool) -> (Terminals, ScriptedLauncher) {
        let launcher = ScriptedLauncher::new(move |mut side| async move {
            side.send_bytes(text.as_bytes()).await;
            if !ends {
                std::future::pending::<()>().await;
            }
            Exit { code: Some(3), signal: None }
        });
        (Terminals::new(Arc::new(launcher.clone()), "/w".to_owned()), launcher)
    }

    #[tokio::test(start_paused = true)]
    async fn a_program_is_started_read_and_waited_for() {
        let (terminals, launcher) = terminals("aé€", true);
        let params = json!({"command": "ls", "args": ["-l"], "env": [{"name": "A", "value": "1"}], "outputByteLimit": 4});
        let id = terminals.create(&params).await.unwrap();
        let spec = &launcher.launched()[0];
        assert_eq!(
            (spec.program.as_str(), spec.args.as_slice(), spec.cwd.as_str()),
            ("ls", &["-l".to_owned()][..], "/w")
        );
        assert_eq!(terminals.wait(&id).await.unwrap(), json!({"exitCode": 3, "signal": null}));
        // The limit cuts within a character: that goes too.
        let read = json!({"output": "€", "truncated": true, "exitStatus": {"exitCode": 3, "signal": null}});
        assert_eq!(terminals.read(&id).unwrap(), read);
        assert_eq!(terminals.release(&id).unwrap(), json!({}));
        assert_eq!(terminals.read(&id).unwrap_err().code, NOT_FOUND);
        assert_eq!(terminals.seen(&id), Some(("€".to_owned(), Some(3))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_program_that_runs_can_be_killed_and_there_are_few() {
        let (terminals, _launcher) = terminals("", false);
        let params = json!({"command": "sleep"});
        let id = terminals.create(&params).await.unwrap();
        terminals.kill(&id).unwrap();
        assert_eq!(terminals.wait(&id).await.unwrap(), json!({"exitCode": null, "signal": "SIGKILL"}));
        for _ in 1..MAX {
            terminals.create(&params).await.unwrap();
        }
        assert!(terminals.create(&params).await.is_err());
        terminals.release(&id).unwrap();
        assert!(terminals.create(&params).await.is_ok());
        terminals.end();
        assert!(terminals.create(&params).await.is_err());
    }

    #[tokio::test]
    async fn what_cannot_be_started_is_refused() {
        let (terminals, launcher) = terminals("", true);
        for wrong in [
            json!({}),
            json!({"command": 7}),
            json!({"command": "a", "args": [1]}),
            json!({"command": "a", "env": [{}]}),
        ] {
            assert_eq!(terminals.create(&wrong).await.unwrap_err().code, INVALID_PARAMS);
        }
        assert!(launcher.launched().is_empty());
    }
}
