//! Files that the program has in hand, for agents that ask their client for them: what is whose, what the machine refuses all the
//! same, and that nothing leads the client elsewhere meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use agentos::{
    AgentConfig, AgentOs, AgentOsConfig, ClientFiles, CreateSessionOptions, Error, ExecOptions, MountConfig,
    ResumeSessionOptions, Session, SessionFiles, TextFile, TextFuture, TextLines,
};
use agentos_tests::{Sidecar, eventually};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

static SIDECAR: Sidecar = Sidecar::new();

/// An agent that says what it was told of files, and asks for them: each line of a prompt is a method and its parameters.
const AGENT: &str = r#"
say() { printf '%s\n' "$1"; }
get() { printf '%s\n' "$line" | jq -c "$1"; }
chunk() { say "{\"jsonrpc\":\"2.0\",\"method\":\"session/update\",\"params\":{\"sessionId\":\"s\",\"update\":{\"sessionUpdate\":\"agent_message_chunk\",\"content\":{\"type\":\"text\",\"text\":$1}}}}"; }
answer() { say "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":$1}"; }
while read -r line; do
    id=$(get .id)
    case $(get .method) in
    '"initialize"') can=$(get .params.clientCapabilities.fs); answer '{"protocolVersion":1,"agentCapabilities":{"sessionCapabilities":{"close":{},"resume":{}}}}' ;;
    '"session/new"') answer '{"sessionId":"s"}' ;;
    '"session/resume"') answer '{}' ;;
    '"session/close"') answer '{}' ;;
    '"session/prompt"')
        prompt=$id text=$(printf '%s\n' "$line" | jq -r '.params.prompt[-1].text')
        if [ "$text" = can ]; then chunk "$(printf '%s' "$can" | jq -c tojson)"; answer '{"stopReason":"end_turn"}'; continue; fi
        printf '%s\n' "$text" > /tmp/todo
        n=0
        while read -r method params; do
            n=$((n + 1))
            say "{\"jsonrpc\":\"2.0\",\"id\":\"q$n\",\"method\":\"$method\",\"params\":$params}"
        done < /tmp/todo
        while [ $n -gt 0 ]; do
            read -r line || exit
            n=$((n - 1))
            chunk "$(printf '%s\n' "$line" | jq -c '{id, result, error: .error.message, code: .error.code} | del(..|nulls) | tojson + "\n"')"
        done
        id=$prompt; answer '{"stopReason":"end_turn"}' ;;
    esac
done
"#;

/// What a client has, and what it was asked.
#[derive(Default)]
struct Shelf {
    texts: Mutex<BTreeMap<String, String>>,
    asked: Mutex<Vec<String>>,
    /// Taken by each reading, if there is one.
    gate: Option<Semaphore>,
    only_reads: bool,
}

impl Shelf {
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

/// The same shelf, as the session has it.
struct Shared(Arc<Shelf>);

impl ClientFiles for Shared {
    fn writes(&self) -> bool {
        !self.0.only_reads
    }

    fn read_text_file<'a>(&'a self, file: &'a TextFile, lines: TextLines) -> TextFuture<'a, Option<String>> {
        Box::pin(async move {
            let path = file.path().display().to_string();
            self.0.asked.lock().unwrap().push(format!("read {path}"));
            if let Some(gate) = &self.0.gate {
                gate.acquire().await.unwrap().forget();
            }
            match path.as_str() {
                path if path.ends_with("refused") => Err("is being renamed".to_owned()),
                path if path.ends_with("panic") => panic!("as it was told to"),
                path => Ok(self.0.texts.lock().unwrap().get(path).map(|text| lines.of(text))),
            }
        })
    }

    fn write_text_file<'a>(&'a self, file: &'a TextFile, text: String) -> TextFuture<'a, bool> {
        Box::pin(async move {
            let path = file.path().display().to_string();
            self.0.asked.lock().unwrap().push(format!("write {path}"));
            let taken = path.ends_with(".open");
            if taken {
                self.0.texts.lock().unwrap().insert(path, text);
            }
            Ok(taken)
        })
    }
}

fn with(shelf: &Arc<Shelf>) -> Option<SessionFiles> {
    Some(SessionFiles::new(Shared(Arc::clone(shelf))))
}

async fn session(os: &AgentOs, client_files: Option<SessionFiles>) -> Session {
    let agent = AgentConfig {
        id: "asking".into(),
        acp_adapter: "sh".into(),
        command: Some("sh".into()),
        args: vec!["-c".into(), AGENT.into()],
        ..AgentConfig::default()
    };
    os.register_agent(agent).await.unwrap();
    let options = CreateSessionOptions { client_files, ..CreateSessionOptions::default() };
    os.create_session("asking", options).await.unwrap()
}

fn read(path: &str) -> String {
    format!("fs/read_text_file {}", json!({"sessionId": "s", "path": path}))
}

fn write(path: &str, text: &str) -> String {
    format!("fs/write_text_file {}", json!({"sessionId": "s", "path": path, "content": text}))
}

/// What came of each request, by its place.
async fn ask(session: &Session, requests: &[String]) -> Vec<Value> {
    let turn = session.prompt(requests.join("\n")).await.unwrap();
    let mut answers = BTreeMap::new();
    for line in turn.text.lines() {
        let answer: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let number: usize = answer["id"].as_str().unwrap()[1..].parse().unwrap();
        answers.insert(number, answer);
    }
    assert_eq!(answers.len(), requests.len(), "{}", turn.text);
    answers.into_values().collect()
}

async fn one(session: &Session, request: String) -> Value {
    ask(session, &[request]).await.remove(0)
}

/// A machine that has a directory of the host at `/p`, and once more at `/ro`.
fn config(host: &std::path::Path) -> AgentOsConfig {
    let rules = json!({"default": "allow", "rules": [{"mode": "deny", "operations": ["read"], "paths": ["/p/denied/**"]}]});
    let host = host.to_str().unwrap();
    AgentOsConfig::builder()
        .mounts(vec![MountConfig::host_dir("/p", host, false), MountConfig::host_dir("/ro", host, true)])
        .permissions(serde_json::from_value(json!({"fs": rules})).unwrap())
        .build()
}

fn host() -> tempfile::TempDir {
    let host = tempfile::tempdir().unwrap();
    for directory in ["src", "denied"] {
        std::fs::create_dir(host.path().join(directory)).unwrap();
    }
    for (file, text) in
        [("src/a.open", "on disk\n"), ("src/b", "1\n2\n3\n"), ("denied/c", "no\n"), ("refused", "r\n")]
    {
        std::fs::write(host.path().join(file), text).unwrap();
    }
    for (target, link) in [("src", "link"), ("/etc/hostname", "out"), ("../../../etc/passwd", "up")] {
        std::os::unix::fs::symlink(target, host.path().join(link)).unwrap();
    }
    host
}

#[test]
fn what_the_client_has_is_read_and_written_there_and_the_rest_in_the_machine() {
    SIDECAR.test(async |_| {
        let host = host();
        let os = SIDECAR.create(config(host.path())).await.unwrap();
        let shelf = Arc::new(Shelf::default());
        for (path, text) in [("/p/src/a.open", "not saved\n"), ("/p/new.open", "of nowhere")] {
            shelf.texts.lock().unwrap().insert(path.to_owned(), text.to_owned());
        }
        let session = session(&os, with(&shelf)).await;
        let can = session.prompt("can").await.unwrap().text;
        assert_eq!(can, json!({"readTextFile": true, "writeTextFile": true}).to_string());
        let part = json!({"sessionId": "s", "path": "/p/src/b", "line": 2, "limit": 1});
        let answers = ask(
            &session,
            &[
                read("/p/src/a.open"),
                read("/p/link/../src/a.open"),
                read("/p/new.open"),
                read("/p/src/b"),
                format!("fs/read_text_file {part}"),
                read("/p/none"),
                read("/p/out"),
            ],
        )
        .await;
        let contents: Vec<Value> = answers.iter().map(|answer| answer["result"]["content"].clone()).collect();
        let hostname = os.exec("cat /etc/hostname", ExecOptions::default()).await.unwrap().stdout;
        assert_eq!(
            contents,
            [
                json!("not saved\n"),
                json!("not saved\n"),
                json!("of nowhere"),
                json!("1\n2\n3\n"),
                json!("2\n"),
                Value::Null,
                json!(hostname),
            ]
        );
        assert_eq!(answers[5]["code"], -32002);
        let mut asked = shelf.asked();
        asked.sort();
        // A link is not the client's: it gets what it leads to, or is not asked for it by the name of the mount.
        let expected = [
            "/etc/hostname",
            "/p/new.open",
            "/p/none",
            "/p/src/a.open",
            "/p/src/a.open",
            "/p/src/b",
            "/p/src/b",
        ];
        assert_eq!(asked, expected.map(|path| format!("read {path}")));

        let answers = ask(
            &session,
            &[
                write("/p/src/a.open", "by the agent\n"),
                write("/p/x/y/z", "made\n"),
                write("/p/x/y/new.open", "there\n"),
            ],
        )
        .await;
        assert!(answers.iter().all(|answer| answer["result"].is_object()), "{answers:?}");
        assert_eq!(shelf.texts.lock().unwrap()["/p/src/a.open"], "by the agent\n");
        assert_eq!(shelf.texts.lock().unwrap()["/p/x/y/new.open"], "there\n");
        let on_disk = |path: &str| std::fs::read_to_string(host.path().join(path)).ok();
        assert_eq!(on_disk("src/a.open").as_deref(), Some("on disk\n"), "the client has not saved it");
        assert_eq!(on_disk("x/y/z").as_deref(), Some("made\n"));
        assert!(host.path().join("x/y").is_dir() && on_disk("x/y/new.open").is_none());
        // Programs see what is on the disk, and files of the agent's machine are the agent's.
        let seen = os.exec("cat /p/src/a.open; stat -c %U /p/x/y", ExecOptions::default()).await.unwrap();
        assert_eq!(seen.stdout, "on disk\nagentos\n");
    });
}

#[test]
fn what_programs_may_not_agents_may_not_by_their_client() {
    SIDECAR.test(async |_| {
        let host = host();
        let os = SIDECAR.create(config(host.path())).await.unwrap();
        let shelf = Arc::new(Shelf::default());
        let session = session(&os, with(&shelf)).await;
        for (request, why) in [
            (read("/p/denied/c"), "EACCES"),
            (read("/p/src/../denied/c"), "EACCES"),
            (write("/ro/src/a.open", "x"), "read only"),
            (write("/ro/x/y", "x"), "read only"),
            (write("/etc/passwd", "x"), "EACCES"),
            (write("/p/up", "x"), "EACCES"),
            (read("/p/src"), "EISDIR"),
            (read("/dev/zero"), "ENXIO"),
            (write("/dev/null", "x"), "ENXIO"),
            (read("p/src/b"), "absolute"),
            (read("/p/\u{0}"), "absolute"),
            (write("/p/src/b/c", "x"), "ENOTDIR"),
        ] {
            let answer = one(&session, request.clone()).await;
            let said = answer["error"].as_str().unwrap_or_else(|| panic!("{request}: {answer}"));
            assert!(said.contains(why), "{request}: {said}");
        }
        // It is the machine's own, though the host has one of that name.
        let passwd = one(&session, read("/p/up")).await["result"]["content"].clone();
        assert!(passwd.as_str().unwrap().contains("agentos"), "{passwd}");
        assert_eq!(shelf.asked(), ["read /etc/passwd"]);
        assert_eq!(std::fs::read_to_string(host.path().join("src/a.open")).unwrap(), "on disk\n");

        // What the client does wrong is told, and nothing else comes of it.
        for (request, why) in [(read("/p/refused"), "is being renamed"), (read("/p/panic"), "the client panicked")] {
            let answer = one(&session, request).await;
            assert_eq!((answer["code"].as_i64(), answer["error"].as_str()), (Some(-32603), Some(why)));
        }
        // Wrong requests, and many at once.
        for wrong in ["fs/read_text_file {\"sessionId\":\"s\"}", "fs/write_text_file {\"sessionId\":\"s\",\"path\":\"/p/a\"}"] {
            assert_eq!(one(&session, wrong.to_owned()).await["code"], -32602);
        }
        assert_eq!(one(&session, "fs/read_text_file {\"sessionId\":\"t\",\"path\":\"/p/a\"}".to_owned()).await["code"], -32602);
        assert_eq!(one(&session, "terminal/create {\"sessionId\":\"s\",\"command\":\"ls\"}".to_owned()).await["code"], -32601);
        let many: Vec<String> = (0..40).map(|_| read("/p/src/b")).collect();
        let answers = ask(&session, &many).await;
        assert!(answers.iter().all(|answer| answer["result"]["content"] == "1\n2\n3\n"), "{answers:?}");
    });
}

#[test]
fn no_name_leads_elsewhere_while_the_client_is_asked() {
    SIDECAR.test(async |_| {
        let host = host();
        let os = SIDECAR.create(config(host.path())).await.unwrap();
        let shelf = Arc::new(Shelf { gate: Some(Semaphore::new(0)), ..Shelf::default() });
        let session = session(&os, with(&shelf)).await;
        let reading = tokio::spawn(async move { (one(&session, read("/p/src/b")).await, session) });
        eventually("the client is asked", async || !shelf.asked.lock().unwrap().is_empty()).await;
        let program = {
            let os = os.clone();
            tokio::spawn(async move {
                let script = "cd /p && : > made && mkdir d && rm refused && mv src away && ln -s /etc src";
                os.exec(script, ExecOptions::default()).await.unwrap()
            })
        };
        eventually("the program is at the names", async || !host.path().join("refused").exists()).await;
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        assert!(host.path().join("src/b").exists() && host.path().join("made").exists());
        shelf.gate.as_ref().unwrap().add_permits(1);
        let (answer, _session) = reading.await.unwrap();
        assert_eq!(answer["result"]["content"], "1\n2\n3\n");
        assert_eq!(program.await.unwrap().exit_code, 0);
        assert!(host.path().join("away/b").exists() && host.path().join("src").is_symlink());
    });
}

#[test]
fn an_agent_gets_the_files_of_the_client_that_its_session_has_now() {
    SIDECAR.test(async |os| {
        // Without any it is told so, and asks in vain.
        let plain = session(os, None).await;
        let none = json!({"readTextFile": false, "writeTextFile": false}).to_string();
        assert_eq!(plain.prompt("can").await.unwrap().text, none);
        assert_eq!(one(&plain, read("/etc/hostname")).await["code"], -32601);
        let late = ResumeSessionOptions {
            client_files: with(&Arc::new(Shelf::default())),
            ..ResumeSessionOptions::default()
        };
        let refused = os.resume_session_with(&plain.session_id, late.clone()).await.map(|_| ());
        assert!(
            matches!(&refused, Err(Error::InvalidRequest { message }) if message.contains("close it")),
            "{refused:?}"
        );

        let shelf = Arc::new(Shelf { only_reads: true, ..Shelf::default() });
        shelf.texts.lock().unwrap().insert("/tmp/t".to_owned(), "first".to_owned());
        let some = session(os, with(&shelf)).await;
        let reads = json!({"readTextFile": true, "writeTextFile": false}).to_string();
        assert_eq!(some.prompt("can").await.unwrap().text, reads);
        assert_eq!(one(&some, read("/tmp/t")).await["result"]["content"], "first");
        assert_eq!(one(&some, write("/tmp/t", "x")).await["code"], -32601);
        // Closed and gone on with, it has those it had; or others.
        some.close().await.unwrap();
        let some = os.resume_session(&some.session_id).await.unwrap();
        assert_eq!(one(&some, read("/tmp/t")).await["result"]["content"], "first");
        let other = Arc::new(Shelf { only_reads: true, ..Shelf::default() });
        other.texts.lock().unwrap().insert("/tmp/t".to_owned(), "second".to_owned());
        let options = ResumeSessionOptions { client_files: with(&other), ..ResumeSessionOptions::default() };
        os.resume_session_with(&some.session_id, options).await.unwrap();
        assert_eq!(one(&some, read("/tmp/t")).await["result"]["content"], "second");
        some.close().await.unwrap();
        let both = os.resume_session_with(&some.session_id, late).await.unwrap();
        let all = json!({"readTextFile": true, "writeTextFile": true}).to_string();
        assert_eq!(both.prompt("can").await.unwrap().text, all);
        both.destroy().await.unwrap();
        plain.destroy().await.unwrap();

        // Agents that speak something else do not ask.
        let mut agent = AgentConfig { id: "c".into(), acp_adapter: "sh".into(), ..AgentConfig::default() };
        agent.backend = Some("claude-agent-sdk".into());
        os.register_agent(agent).await.unwrap();
        let options = CreateSessionOptions { client_files: with(&other), ..CreateSessionOptions::default() };
        let refused = os.create_session("c", options).await.map(|_| ());
        assert!(
            matches!(&refused, Err(Error::InvalidRequest { message }) if message.contains("clientFiles")),
            "{refused:?}"
        );
    });
}
