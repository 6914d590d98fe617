//! A sidecar of this program alone, reached by an inherited socket pair.
//! When the program ends the socket closes, and the sidecar ends with it.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::sync::Arc;

use agentos_protocol::message::DescribeSidecar;

use super::child::Child;
use super::{AgentOsSidecar, CreateSidecarOptions, Link, SidecarPlacement, locate};
use crate::error::{Error, Result};

pub(super) async fn start(options: CreateSidecarOptions) -> Result<Arc<AgentOsSidecar>> {
    let program = locate::locate(options.binary)?;
    let (ours, theirs) =
        UnixStream::pair().map_err(|e| Error::Transport { message: format!("socketpair: {e}") })?;
    let mut command = program.command();
    // As its stdin, the socket needs no agreement on a descriptor number.
    command.arg("--stdio-socket").stdin(Stdio::from(OwnedFd::from(theirs)));
    let child = Child::spawn(command, &program.path, None)?;
    let linked = async {
        let link = Link::connect(ours, Some(child.clone())).await?;
        let info = link.call(&DescribeSidecar {}).await?;
        Ok((link, info))
    };
    match linked.await {
        Ok((link, info)) => Ok(AgentOsSidecar::new(link, SidecarPlacement::Explicit, info, Some(child))),
        Err(error) => {
            child.end();
            Err(error)
        }
    }
}
