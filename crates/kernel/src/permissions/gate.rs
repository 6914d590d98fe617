//! What becomes of the tree's word in a machine: it is enforced, only told, or what is used is noted. It asks about resolved
//! resources; the system calls bring them.

use std::sync::Arc;

use parking_lot::Mutex;

use super::learned::Learned;
use super::told::Told;
use super::{Decision, Denial, Domain, Mode, Operation, Permissions, ScopeSource};
use crate::{LimitHit, Notice, Observer};

/// How a tree is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// What it denies does not happen.
    #[default]
    Enforce,
    /// What it denies is told and happens.
    DryRun,
    /// As a dry run; and what is used is noted.
    Learn,
}

/// A tree and how it is meant.
#[derive(Clone, Debug, Default)]
pub struct Guarded {
    /// The tree.
    pub tree: Arc<Permissions>,
    /// How it is meant.
    pub policy: Policy,
}

/// A denial that is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldDenial {
    /// What is denied.
    pub denial: Denial,
    /// It did not happen; in a dry run it did.
    pub enforced: bool,
    /// How often it came so far: it is told at the first, tenth, hundredth time and so on.
    pub count: u64,
}

/// What a tree says where it can ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It happens.
    Allowed,
    /// It happens if the host agrees; else this is the denial.
    Ask(Denial),
}

/// The gate of a machine.
pub(crate) struct Gate {
    guarded: Guarded,
    minds: [bool; Domain::ALL.len()],
    told: Mutex<Told>,
    learned: Mutex<Learned>,
    observer: Option<Arc<dyn Observer>>,
}

impl Gate {
    pub(crate) fn new(guarded: Guarded, observer: Option<Arc<dyn Observer>>) -> Self {
        let learns = guarded.policy == Policy::Learn;
        let minds = Domain::ALL.map(|domain| learns || !guarded.tree.is_free(domain));
        Gate { guarded, minds, told: Mutex::default(), learned: Mutex::default(), observer }
    }

    pub(crate) fn guarded(&self) -> &Guarded {
        &self.guarded
    }

    /// Whether anything of this domain has to be asked.
    pub(crate) fn minds(&self, domain: Domain) -> bool {
        self.minds[domain as usize]
    }

    /// Asks. A denial that is enforced is the error; all are told.
    pub(crate) fn pass(&self, operation: Operation, resource: &[u8]) -> Result<(), Denial> {
        if self.guarded.policy == Policy::Learn {
            self.learned.lock().note(operation, resource);
        }
        self.judge(self.guarded.tree.check(operation, resource))
    }

    /// As [`Gate::pass`], for who can ask the host. Nobody is asked where nothing is enforced.
    pub(crate) fn admit(&self, operation: Operation, resource: &[u8]) -> Result<Admission, Denial> {
        let Decision { mode, by } = self.guarded.tree.decide(operation, resource);
        if mode == Mode::Ask && self.guarded.policy == Policy::Enforce {
            return Ok(Admission::Ask(Denial { operation, resource: resource.to_vec(), by }));
        }
        self.pass(operation, resource).map(|()| Admission::Allowed)
    }

    /// Tells a denial that came of a question.
    pub(crate) fn refuse(&self, denial: &Denial) {
        let _ = self.judge(Err(denial.clone()));
    }

    /// Asks whether something may have another name; see [`Permissions::passage`].
    pub(crate) fn passage(&self, from: &[u8], to: &[u8], directory: bool) -> Result<(), Denial> {
        if self.guarded.policy == Policy::Learn {
            self.learned.lock().note_move(from, to, directory);
        }
        self.judge(self.guarded.tree.passage(from, to, directory))
    }

    fn judge(&self, answer: Result<(), Denial>) -> Result<(), Denial> {
        let Err(denial) = answer else { return Ok(()) };
        let enforced = self.guarded.policy == Policy::Enforce;
        let count = self.told.lock().count(&denial);
        if let (Some(count), Some(observer)) = (count, &self.observer) {
            observer.notice(Notice::Denied(ToldDenial { denial: denial.clone(), enforced, count }));
        }
        if enforced { Err(denial) } else { Ok(()) }
    }

    /// The smallest tree that allows what was used; `None` if nothing is noted here.
    pub(crate) fn learned(&self, generalise: bool) -> Option<Result<Vec<(Domain, ScopeSource)>, LimitHit>> {
        if self.guarded.policy != Policy::Learn {
            return None;
        }
        // Of a copy: the tree takes its time, and guests go on.
        let copy = self.learned.lock().clone();
        Some(copy.tree(generalise))
    }
}
