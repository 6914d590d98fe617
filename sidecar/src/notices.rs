//! What a kernel has to tell goes to the client of its VM, as events. What must not be lost does not travel this way.

use agentos_kernel::permissions::ToldDenial;
use agentos_kernel::{Notice, Observer};
use agentos_protocol::Connection;
use agentos_protocol::message::{Event, LimitKilled, LimitWarning, PermissionDenied};

use crate::errors::limit_info;

/// Tells the client of one VM.
pub(crate) struct ToClient {
    vm_id: String,
    connection: Connection,
}

impl ToClient {
    pub(crate) fn new(vm_id: &str, connection: &Connection) -> Self {
        ToClient { vm_id: vm_id.to_owned(), connection: connection.clone() }
    }
}

impl Observer for ToClient {
    fn notice(&self, notice: Notice) {
        let event = match notice {
            Notice::LimitWarning(hit) => {
                Event::LimitWarning(LimitWarning { vm_id: self.vm_id.clone(), limit: limit_info(hit) })
            }
            Notice::Denied(ToldDenial { denial, enforced, count }) => {
                Event::PermissionDenied(PermissionDenied {
                    vm_id: self.vm_id.clone(),
                    denial: crate::permissions::denial(&denial),
                    enforced,
                    count,
                })
            }
            Notice::Killed { pid, limit } => Event::LimitKilled(LimitKilled {
                vm_id: self.vm_id.clone(),
                pid: pid.0,
                limit: limit_info(limit),
            }),
            _ => return,
        };
        // A client that does not read is no reason for a guest to wait.
        let _ = self.connection.event(&event);
    }
}
