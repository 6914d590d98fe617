//! Calls of tools of the host: what there is, whether it may be called, and the wait for it.

use std::fmt::Write as _;
use std::sync::Arc;

use agentos_abi::tools::{TOOL_INPUT_MAX, TOOL_NAME_MAX, TOOL_REPLY_MAX};

use crate::permissions::{Admission, Denial, Domain, Operation};
use crate::tools::{ToolCall, ToolFailure};
use crate::{Errno, Kernel, Process};

/// Most bytes of what a failure tells.
const MESSAGE: usize = 64 << 10;

impl Kernel {
    /// All toolkits, as the guest ABI tells them.
    #[must_use]
    pub fn tool_list(&self) -> Arc<[u8]> {
        self.tools.as_ref().map_or_else(|| Arc::from(&b"[]"[..]), |tools| tools.list())
    }

    /// Calls a tool: that it exists, that the permission tree lets it be called, that the input fits it, and where the tree says
    /// so that the host agrees, in this order; then what it does. A signal that is to be acted on ends it.
    ///
    /// # Errors
    /// The failure, with the words for the guest: ENOENT, EACCES, EINVAL, E2BIG, EAGAIN, EINTR, or what the tool's host says.
    pub async fn call_tool(
        &self,
        process: &Process,
        kit: &[u8],
        tool: &[u8],
        input: &[u8],
    ) -> Result<Vec<u8>, ToolFailure> {
        let result = self.called(process, kit, tool, input).await;
        match result {
            Ok(reply) if reply.len() > TOOL_REPLY_MAX => Err(ToolFailure::new(
                Errno::EPROTO,
                format!("the result has {} bytes; {TOOL_REPLY_MAX} are allowed", reply.len()),
            )),
            Err(mut failure) => {
                failure.message.truncate(failure.message.floor_char_boundary(MESSAGE));
                Err(failure)
            }
            result => result,
        }
    }

    async fn called(
        &self,
        process: &Process,
        kit: &[u8],
        tool: &[u8],
        input: &[u8],
    ) -> Result<Vec<u8>, ToolFailure> {
        let unknown = || {
            let shown =
                |name: &[u8]| String::from_utf8_lossy(name.get(..TOOL_NAME_MAX).unwrap_or(name)).into_owned();
            ToolFailure::new(Errno::ENOENT, format!("there is no tool {}:{}", shown(kit), shown(tool)))
        };
        let named = |name: &[u8]| {
            let name = name.get(..).filter(|name| name.len() <= TOOL_NAME_MAX)?;
            String::from_utf8(name.to_vec()).ok()
        };
        let (Some(tools), Some(kit), Some(tool)) = (&self.tools, named(kit), named(tool)) else {
            return Err(unknown());
        };
        if input.len() > TOOL_INPUT_MAX {
            let message = format!("the input has {} bytes; {TOOL_INPUT_MAX} are allowed", input.len());
            return Err(ToolFailure::new(Errno::E2BIG, message));
        }
        let input = String::from_utf8(input.to_vec())
            .map_err(|_| ToolFailure::new(Errno::EINVAL, "the input is no UTF-8 text"))?;
        let resource = format!("{kit}:{tool}");
        let mut run = tools.begin(ToolCall { kit, tool, input })?;
        let gate = self.gate.as_ref().filter(|gate| gate.minds(Domain::Tool));
        let admission = match gate.map(|gate| gate.admit(Operation::Invoke, resource.as_bytes())) {
            None => Admission::Allowed,
            Some(Ok(admission)) => admission,
            Some(Err(denial)) => return Err(denied(&denial, "")),
        };
        let steps = async {
            run.check().await?;
            if let Admission::Ask(denial) = admission
                && !run.ask().await
            {
                if let Some(gate) = gate {
                    gate.refuse(&denial);
                }
                return Err(denied(&denial, ", which asks, and the host did not agree"));
            }
            run.run().await
        };
        let mut steps = std::pin::pin!(steps);
        match process.interruptible(|cx| steps.as_mut().poll(cx).map(Ok), |_| ()).await {
            Ok(result) => result,
            Err(errno) => Err(ToolFailure::new(errno, "a signal ended the call")),
        }
    }
}

/// What a guest is told of a denial: who decided, and the smallest rule that would allow it.
fn denied(denial: &Denial, why: &str) -> ToolFailure {
    let mut message = format!(
        "permission denied: {} {} on {} by {}{why}",
        denial.operation.domain().name(),
        denial.operation,
        String::from_utf8_lossy(&denial.resource),
        denial.by.path().as_deref().unwrap_or("the default of its rules"),
    );
    // Names of toolkits and tools need no escapes in JSON.
    let grant = denial.grant();
    let list = |list: Option<Vec<String>>| {
        list.unwrap_or_default().iter().map(|text| format!("{text:?}")).collect::<Vec<_>>().join(",")
    };
    let _ = write!(
        message,
        r#"; a rule that would allow it: {{"mode":"allow","operations":[{}],"patterns":[{}]}}"#,
        list(grant.operations),
        list(grant.patterns),
    );
    ToolFailure::new(Errno::EACCES, message)
}
