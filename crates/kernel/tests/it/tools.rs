//! Calls of tools: the order of their steps, what ends them, and what a denial says.

use std::sync::Arc;
use std::time::Duration;

use agentos_abi::tools::{TOOL_INPUT_MAX, TOOL_REPLY_MAX};
use agentos_kernel::permissions::{Domain, Guarded, Mode, Permissions, Policy, RuleSource, ScopeSource};
use agentos_kernel::{
    Errno, Kernel, KernelConfig, Limits, Notice, Observer, Process, Signal, ToolCall, ToolFailure,
    ToolFuture, ToolRun, Tools,
};
use agentos_vfs::Tree;
use parking_lot::Mutex;

use super::{config, limits};

/// What was done, in order.
type Log = Arc<Mutex<Vec<String>>>;

/// Has the tools of kit `k`; an input of `"bad"` does not fit, `"no"` is not agreed to, `"wait"` never ends, `"long"` gives too much.
struct Fake(Log);

struct FakeRun {
    log: Log,
    input: String,
}

impl Drop for FakeRun {
    fn drop(&mut self) {
        self.log.lock().push("end".into());
    }
}

impl Tools for Fake {
    fn list(&self) -> Arc<[u8]> {
        Arc::from(&b"[1]"[..])
    }

    fn begin(&self, call: ToolCall) -> Result<Box<dyn ToolRun>, ToolFailure> {
        if call.kit != "k" {
            return Err(ToolFailure::new(Errno::ENOENT, "no such tool"));
        }
        self.0.lock().push("begin".into());
        Ok(Box::new(FakeRun { log: Arc::clone(&self.0), input: call.input }))
    }
}

impl ToolRun for FakeRun {
    fn check(&mut self) -> ToolFuture<'_, Result<(), ToolFailure>> {
        self.log.lock().push("check".into());
        let fits = self.input != "bad";
        Box::pin(async move { if fits { Ok(()) } else { Err(ToolFailure::new(Errno::EINVAL, "bad")) } })
    }

    fn ask(&mut self) -> ToolFuture<'_, bool> {
        self.log.lock().push("ask".into());
        let agreed = self.input != "no";
        Box::pin(async move { agreed })
    }

    fn run(&mut self) -> ToolFuture<'_, Result<Vec<u8>, ToolFailure>> {
        self.log.lock().push("run".into());
        Box::pin(async {
            match self.input.as_str() {
                "wait" => std::future::pending().await,
                "long" => Ok(vec![b'1'; TOOL_REPLY_MAX + 1]),
                _ => Ok(b"1".to_vec()),
            }
        })
    }
}

#[derive(Default)]
struct Heard(Mutex<Vec<Notice>>);

impl Observer for Heard {
    fn notice(&self, notice: Notice) {
        self.0.lock().push(notice);
    }
}

struct Machine {
    kernel: Arc<Kernel>,
    process: Arc<Process>,
    log: Log,
    heard: Arc<Heard>,
}

impl Machine {
    /// A machine in which `allow`, `ask` and `deny` are tools with that mode, and others are denied.
    async fn new(policy: Policy) -> Machine {
        let rule = |mode, tool: &str| RuleSource {
            mode,
            operations: None,
            paths: None,
            patterns: Some(vec![format!("k:{tool}")]),
        };
        let rules = vec![rule(Mode::Allow, "allow"), rule(Mode::Ask, "ask"), rule(Mode::Deny, "deny")];
        let tree =
            Permissions::compile([(Domain::Tool, ScopeSource::Rules { default: None, rules })]).unwrap();
        let (log, heard) = (Log::default(), Arc::new(Heard::default()));
        let tree_root = Tree::new();
        tree_root.put_char_device("/null", 0o666, agentos_kernel::device::rdev(1, 3)).unwrap();
        let kernel = Kernel::new(KernelConfig {
            permissions: Some(Guarded { tree: Arc::new(tree), policy }),
            tools: Some(Arc::new(Fake(Arc::clone(&log)))),
            observer: Some(Arc::<Heard>::clone(&heard)),
            ..config(&tree_root, Limits::default())
        })
        .await
        .unwrap();
        let process = limits::start(&kernel, false).await.unwrap();
        Machine { kernel, process, log, heard }
    }

    async fn call(&self, tool: &str, input: &str) -> Result<Vec<u8>, ToolFailure> {
        self.kernel.call_tool(&self.process, b"k", tool.as_bytes(), input.as_bytes()).await
    }

    fn did(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock())
    }

    fn denials(&self) -> usize {
        let all = std::mem::take(&mut *self.heard.0.lock());
        all.iter().filter(|notice| matches!(notice, Notice::Denied(_))).count()
    }
}

#[tokio::test]
async fn steps_of_a_call_are_in_order() {
    let machine = Machine::new(Policy::Enforce).await;
    for (tool, input, steps, errno) in [
        ("allow", "ok", &["begin", "check", "run", "end"][..], None),
        ("allow", "bad", &["begin", "check", "end"], Some(Errno::EINVAL)),
        ("allow", "long", &["begin", "check", "run", "end"], Some(Errno::EPROTO)),
        ("ask", "ok", &["begin", "check", "ask", "run", "end"], None),
        ("ask", "no", &["begin", "check", "ask", "end"], Some(Errno::EACCES)),
        ("ask", "bad", &["begin", "check", "end"], Some(Errno::EINVAL)),
        ("deny", "bad", &["begin", "end"], Some(Errno::EACCES)),
        ("other", "ok", &["begin", "end"], Some(Errno::EACCES)),
    ] {
        let result = machine.call(tool, input).await;
        assert_eq!(result.as_ref().err().map(|failure| failure.errno), errno, "{tool} {input}");
        assert_eq!(machine.did(), steps, "{tool} {input}");
    }
    assert_eq!(machine.denials(), 3);
    let said = machine.call("deny", "").await.unwrap_err().message;
    assert_eq!(
        said,
        "permission denied: tool invoke on k:deny by tool.rules[2]; a rule that would allow it: \
         {\"mode\":\"allow\",\"operations\":[\"invoke\"],\"patterns\":[\"k:deny\"]}"
    );
    assert!(machine.call("other", "").await.unwrap_err().message.contains("by the default of its rules;"));
    assert!(machine.call("ask", "no").await.unwrap_err().message.contains("the host did not agree;"));
}

#[tokio::test]
async fn where_nothing_is_enforced_nobody_is_asked() {
    let machine = Machine::new(Policy::DryRun).await;
    for tool in ["allow", "ask", "deny", "other"] {
        machine.call(tool, "no").await.unwrap();
        assert_eq!(machine.did(), ["begin", "check", "run", "end"], "{tool}");
    }
    assert_eq!(machine.denials(), 3);
}

#[tokio::test]
async fn what_is_no_call_begins_nothing() {
    let machine = Machine::new(Policy::Enforce).await;
    let kernel = &machine.kernel;
    let long = vec![b'x'; TOOL_INPUT_MAX + 1];
    for (kit, tool, input, errno) in [
        (&b"x"[..], &b"allow"[..], &b"{}"[..], Errno::ENOENT),
        (&[b'k'; 64], b"allow", b"{}", Errno::ENOENT),
        (b"k", &[b'a'; 1000], b"{}", Errno::ENOENT),
        (b"\xff", b"allow", b"{}", Errno::ENOENT),
        (b"k", b"allow", b"\xff", Errno::EINVAL),
        (b"k", b"allow", &long, Errno::E2BIG),
    ] {
        let failure = kernel.call_tool(&machine.process, kit, tool, input).await.unwrap_err();
        assert_eq!(failure.errno, errno);
        assert!(failure.message.len() < 300);
    }
    assert!(machine.did().is_empty());
    assert_eq!(&machine.kernel.tool_list()[..], b"[1]");
}

#[tokio::test]
async fn a_signal_ends_a_call() {
    let machine = Machine::new(Policy::Enforce).await;
    let call = machine.call("allow", "wait");
    let kill = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        machine.kernel.host_kill(machine.process.pid, Signal::SIGKILL, false);
    };
    let (result, ()) = tokio::join!(call, kill);
    assert_eq!(result.unwrap_err().errno, Errno::EINTR);
    assert_eq!(machine.did(), ["begin", "check", "run", "end"]);
}
