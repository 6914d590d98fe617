//! The made-up sidecar: files are a map, and programs are a few names it knows.
//! It is as small as the tests allow.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use agentos_protocol::message::*;
use agentos_protocol::mux::{RecordWriter, reset_code};
use agentos_protocol::{Connection, Handler, Responder};
use parking_lot::Mutex;

use crate::sidecar::{AgentOsSidecar, fake_sidecar};

#[derive(Default)]
pub(super) struct Fake {
    pub(super) files: Mutex<BTreeMap<WirePath, Vec<u8>>>,
    pub(super) calls: Mutex<Vec<Request>>,
    pub(super) connection: Mutex<Option<Connection>>,
    pub(super) kept: Mutex<Vec<Responder>>,
    pub(super) events: Mutex<Vec<SessionEventRecord>>,
    me: Weak<Fake>,
}

struct Shell(Arc<Fake>);

impl Fake {
    pub(super) async fn start() -> (Arc<Fake>, Arc<AgentOsSidecar>) {
        let fake = Arc::new_cyclic(|me| Fake { me: me.clone(), ..Fake::default() });
        let (sidecar, connection) = fake_sidecar(Arc::new(Shell(Arc::clone(&fake)))).await;
        *fake.connection.lock() = Some(connection);
        (fake, sidecar)
    }

    pub(super) fn methods(&self) -> Vec<&'static str> {
        self.calls.lock().iter().map(Request::method).collect()
    }

    fn exec(self: Arc<Self>, call: Exec, responder: Responder) {
        let conn = responder.connection();
        let command = match &call.program {
            Program::Shell(line) => line.clone(),
            Program::Argv(argv) => argv.join(" "),
        };
        let input = match &call.stdin {
            Stdin::Stream(id) => Some(conn.accept_recv(*id).unwrap()),
            _ => None,
        };
        if command == "sleep" {
            return self.kept.lock().push(responder);
        }
        tokio::spawn(async move {
            let mut reply = ExecReply { pid: 7, ..ExecReply::default() };
            let mut err = Vec::new();
            let out: Vec<u8> = match command.split_once(' ') {
                Some(("bytes", n)) => vec![b'x'; n.parse().unwrap()],
                Some(("exit", n)) => {
                    reply.status.exit_code = n.parse().unwrap();
                    Vec::new()
                }
                Some(("echo", text)) => text.as_bytes().to_vec(),
                Some(("complain", text)) => {
                    reply.status.exit_code = 3;
                    err = text.as_bytes().to_vec();
                    Vec::new()
                }
                _ if command == "cat" => match (call.stdin, input) {
                    (Stdin::Inline(bytes), _) => bytes,
                    (_, Some(input)) => input.read_to_end(usize::MAX).await.unwrap().unwrap(),
                    _ => Vec::new(),
                },
                _ if command == "binary" => vec![0xff, 0xfe],
                _ => return responder.error(&WireError::kernel("ENOENT", "exec", None)),
            };
            let live = |id: u32| conn.accept_send(id).unwrap();
            match call.stdout {
                Output::Discard => {}
                Output::Capture { inline_limit, .. } if out.len() <= inline_limit as usize => {
                    reply.stdout.data = out
                }
                Output::Capture { stream, .. } | Output::Live(stream) => {
                    reply.stdout.streamed = true;
                    let stream = live(stream);
                    // As a real one: what a reader no longer wants is dropped.
                    let _ = stream.write_all(&out).await;
                    stream.finish();
                }
            }
            if let Output::Live(id) = call.stderr {
                reply.stderr.streamed = true;
                let stream = live(id);
                let _ = stream.write_all(&err).await;
                stream.finish();
            }
            responder.reply::<Exec>(Ok(reply));
        });
    }

    fn files(self: Arc<Self>, request: Request, responder: Responder) {
        let conn = responder.connection();
        match request {
            Request::ReadFile(call) if call.path == "/endless".into() => {
                let stream = conn.accept_send(call.stream.unwrap()).unwrap();
                responder.reply::<ReadFile>(Ok(ReadFileReply { data: vec![], streamed: true, size: 0 }));
                tokio::spawn(async move { while stream.write_all(&[0; 64 << 10]).await.is_ok() {} });
            }
            Request::ReadFile(call) => {
                let Some(bytes) = self.files.lock().get(&call.path).cloned() else {
                    let path = Some(call.path.to_text());
                    return responder.error(&WireError::kernel("ENOENT", "open", path));
                };
                let size = bytes.len() as u64;
                if bytes.len() <= call.inline_limit as usize {
                    let reply = ReadFileReply { data: bytes, streamed: false, size };
                    return responder.reply::<ReadFile>(Ok(reply));
                }
                let stream = conn.accept_send(call.stream.unwrap()).unwrap();
                responder.reply::<ReadFile>(Ok(ReadFileReply { data: vec![], streamed: true, size }));
                tokio::spawn(async move {
                    let _ = stream.write_all(&bytes).await;
                    stream.finish();
                });
            }
            Request::WriteFile(call) => {
                let refused = call.path.0.starts_with(b"/ro");
                let source = match call.source {
                    WriteSource::Inline(bytes) => Ok(bytes),
                    WriteSource::Stream(id) => Err(conn.accept_recv(id).unwrap()),
                };
                tokio::spawn(async move {
                    if refused {
                        return responder.error(&WireError::path(code::READ_ONLY, call.path.to_text()));
                    }
                    let bytes = match source {
                        Ok(bytes) => bytes,
                        Err(stream) => stream.read_to_end(usize::MAX).await.unwrap().unwrap(),
                    };
                    let written = bytes.len() as u64;
                    self.files.lock().insert(call.path, bytes);
                    responder.reply::<WriteFile>(Ok(WriteFileReply { written }));
                });
            }
            Request::Readdir(call) => {
                let all: Vec<WireDirEntry> = (0..5)
                    .map(|i| WireDirEntry { name: format!("f{i}").into(), kind: FileKind::File, size: 0 })
                    .collect();
                let at = usize::try_from(call.cursor).unwrap();
                let next = (at + 2 < all.len()).then_some(call.cursor + 2);
                let entries = all.into_iter().skip(at).take(2).collect();
                responder.reply::<Readdir>(Ok(ReaddirReply { entries, next }));
            }
            Request::ReaddirRecursive(call) => {
                if call.path.0 != b"/big" {
                    return responder.error(&WireError::kernel(
                        "ENOTDIR",
                        "readdir",
                        Some(call.path.to_text()),
                    ));
                }
                let records = RecordWriter::new(conn.accept_send(call.stream).unwrap());
                tokio::spawn(async move {
                    for i in 0..20_000_u32 {
                        let name = if i == 9 { WirePath(vec![b'n', 0xff]) } else { format!("d/{i}").into() };
                        records.send(&WireDirEntry { name, kind: FileKind::File, size: 1 }).await.unwrap();
                    }
                    records.stream().finish();
                    responder.reply::<ReaddirRecursive>(Ok(ReaddirRecursiveReply { entries: 20_000 }));
                });
            }
            other => responder.unsupported(other.method()),
        }
    }

    fn sessions(&self, request: Request, responder: Responder) {
        match request {
            Request::CreateSession(call) if call.agent_type == "slow" => self.kept.lock().push(responder),
            Request::CreateSession(call) => {
                let init = SessionInitData {
                    session_id: "s1".into(),
                    agent_type: call.agent_type,
                    modes: Some(JsonText(
                        r#"{"currentModeId":"a","availableModes":[{"id":"a","name":"A"}]}"#.into(),
                    )),
                    ..SessionInitData::default()
                };
                responder.reply::<CreateSession>(Ok(init));
            }
            Request::Prompt(call) if call.content.0.contains("wait") => self.kept.lock().push(responder),
            Request::Prompt(call) if call.content.0.contains("fail") => {
                responder.error(&WireError::new(code::AGENT, "the agent gave up"));
            }
            Request::Prompt(call) => {
                let response = JsonText(r#"{"stopReason":"end_turn"}"#.into());
                let reply = PromptReply {
                    text: call.content.0,
                    stop_reason: "end_turn".into(),
                    usage: None,
                    response,
                };
                responder.reply::<Prompt>(Ok(reply));
            }
            Request::SessionEvents(call) => {
                let records = RecordWriter::new(responder.connection().accept_send(call.stream).unwrap());
                let events = self.events.lock().clone();
                // All but the last two are of the past.
                let last_seq = events.len().saturating_sub(2) as u64;
                responder.reply::<SessionEvents>(Ok(SessionEventsReply { last_seq }));
                tokio::spawn(async move {
                    for event in events.into_iter().filter(|e| e.seq > call.from_cursor) {
                        records.send(&event).await.unwrap();
                    }
                    records.stream().finish();
                });
            }
            Request::GetSessionEvents(call) => {
                let all = self.events.lock().clone();
                let mut left: Vec<_> = all.into_iter().filter(|e| e.seq > call.since).collect();
                let more = left.len() > 2;
                left.truncate(2);
                responder.reply::<GetSessionEvents>(Ok(SessionEventPage { events: left, more }));
            }
            other => responder.error(&WireError::not_found(code::SESSION_NOT_FOUND, other.method())),
        }
    }
}

impl Handler for Shell {
    fn request(&self, request: Request, responder: Responder) {
        let fake = self.0.me.upgrade().unwrap();
        fake.calls.lock().push(request.clone());
        match request {
            Request::CreateVm(call) => {
                let info = VmInfo { vm_id: "vm-1".into(), labels: call.config.labels, ..VmInfo::default() };
                responder.reply::<CreateVm>(Ok(info));
            }
            Request::ForkVm(_) => {
                responder.reply::<ForkVm>(Ok(VmInfo { vm_id: "vm-2".into(), ..VmInfo::default() }));
            }
            Request::DescribeSidecar(_) => {
                let info =
                    SidecarInfo { sidecar_id: "fake".into(), active_vm_count: 1, ..SidecarInfo::default() };
                responder.reply::<DescribeSidecar>(Ok(info));
            }
            Request::DisposeVm(_) => responder.reply::<DisposeVm>(Ok(Empty {})),
            Request::ShutdownSidecar(_) => responder.reply::<ShutdownSidecar>(Ok(Empty {})),
            Request::Mount(_) => responder.reply::<Mount>(Ok(Empty {})),
            Request::Unmount(_) => responder.reply::<Unmount>(Ok(Empty {})),
            Request::Exec(call) => fake.exec(call, responder),
            Request::Spawn(Spawn { program: Program::Argv(argv), .. }) if argv == ["slow"] => {
                fake.kept.lock().push(responder);
            }
            Request::Spawn(call) => {
                if let Stdin::Stream(id) = call.stdin {
                    let input = responder.connection().accept_recv(id).unwrap();
                    tokio::spawn(async move {
                        let all = input.read_to_end(usize::MAX).await.unwrap().unwrap();
                        fake.files.lock().insert("/stdin".into(), all);
                    });
                }
                responder.reply::<Spawn>(Ok(SpawnReply { pid: 33 }));
            }
            Request::ReadOutput(call) => {
                let stream = responder.connection().accept_send(call.stream).unwrap();
                // The ring begins at 100.
                let start_offset = call.from_offset.max(100);
                responder.reply::<ReadOutput>(Ok(ReadOutputReply { start_offset }));
                tokio::spawn(async move {
                    stream.write_all(b"output").await.unwrap();
                    match call.output {
                        OutputKind::Stdout => stream.finish(),
                        OutputKind::Stderr => stream.reset(reset_code::GONE),
                    }
                });
            }
            Request::WaitProcess(call) if call.pid != 33 => {
                responder.error(&WireError::not_found(code::PROCESS_NOT_FOUND, call.pid));
            }
            Request::WaitProcess(_) => {
                let status = ExitStatus { exit_code: 3, ..ExitStatus::default() };
                responder.reply::<WaitProcess>(Ok(status));
            }
            other if other.method().starts_with("fs.") => fake.files(other, responder),
            other => fake.sessions(other, responder),
        }
    }
}
