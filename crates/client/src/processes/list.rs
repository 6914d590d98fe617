//! Looking at the processes of a VM.
//! It takes a picture of one moment.

use std::collections::{BTreeMap, HashSet};

use agentos_protocol::message::{AllProcesses, ListProcesses, ProcessInfo, SpawnedProcessInfo};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::vm::AgentOs;

/// A process and its children.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProcessTreeNode {
    /// The process.
    #[serde(flatten)]
    pub process: ProcessInfo,
    /// Its children, by pid.
    pub children: Vec<ProcessTreeNode>,
}

impl AgentOs {
    /// The processes made by [`AgentOs::spawn`], ended ones too while they are kept.
    ///
    /// # Errors
    /// [`Error::Disposed`].
    pub async fn list_processes(&self) -> Result<Vec<SpawnedProcessInfo>> {
        Ok(self.vm.call(&ListProcesses { vm_id: self.vm.id() }).await?.processes)
    }

    /// All processes of the VM, by pid.
    ///
    /// # Errors
    /// [`Error::Disposed`].
    pub async fn all_processes(&self) -> Result<Vec<ProcessInfo>> {
        Ok(self.vm.call(&AllProcesses { vm_id: self.vm.id() }).await?.processes)
    }

    /// All processes of the VM as trees; the roots are those whose parent is not in the VM.
    ///
    /// # Errors
    /// [`Error::Disposed`].
    pub async fn process_tree(&self) -> Result<Vec<ProcessTreeNode>> {
        Ok(tree(self.all_processes().await?))
    }

    /// A process made by [`AgentOs::spawn`].
    ///
    /// # Errors
    /// [`Error::ProcessNotFound`].
    pub async fn get_process(&self, pid: u32) -> Result<SpawnedProcessInfo> {
        let found = self.list_processes().await?.into_iter().find(|process| process.pid == pid);
        found.ok_or(Error::ProcessNotFound { pid })
    }
}

fn tree(processes: Vec<ProcessInfo>) -> Vec<ProcessTreeNode> {
    let pids: HashSet<u32> = processes.iter().map(|p| p.pid).collect();
    let mut nodes: BTreeMap<u32, ProcessTreeNode> = BTreeMap::new();
    for process in processes {
        nodes.insert(process.pid, ProcessTreeNode { process, children: Vec::new() });
    }
    // A parent has a lower pid than its children unless pids wrapped: children are attached from the highest pid down,
    // and what cannot be attached any more stays a root, so nothing is lost.
    let mut roots = Vec::new();
    while let Some((pid, mut node)) = nodes.pop_last() {
        node.children.reverse();
        let ppid = node.process.ppid;
        match nodes.get_mut(&ppid) {
            Some(parent) if ppid != pid && pids.contains(&ppid) => parent.children.push(node),
            _ => roots.push(node),
        }
    }
    roots.reverse();
    roots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_become_trees_and_none_is_lost() {
        let process = |pid, ppid| ProcessInfo { pid, ppid, ..ProcessInfo::default() };
        let trees = tree(vec![
            process(1, 0),
            process(2, 1),
            process(3, 1),
            process(4, 2),
            process(9, 7),
            process(10, 10),
        ]);
        let pids: Vec<u32> = trees.iter().map(|t| t.process.pid).collect();
        assert_eq!(pids, [1, 9, 10]);
        let children: Vec<u32> = trees[0].children.iter().map(|t| t.process.pid).collect();
        assert_eq!(children, [2, 3]);
        assert_eq!(trees[0].children[0].children[0].process.pid, 4);
    }
}
