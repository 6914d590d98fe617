//! What is asked for when a job is scheduled, and what is told of one that is. It runs nothing.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::path::guest_path;
use crate::sessions::{CreateSessionOptions, PromptInput};

/// A function of this program that a job calls, on a thread of the library (a tokio runtime of its own). An error, and a panic,
/// is an event; the job goes on. It must not block: other callbacks wait for the thread.
///
/// One that holds the machine keeps it until the job is cancelled or the machine is disposed.
pub type CronCallback = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// What a job does.
#[derive(Clone)]
#[allow(clippy::large_enum_variant, reason = "there are few jobs, and options are written as everywhere")]
pub enum CronAction {
    /// Prompts an agent in a session of its own, which is closed at the end, however that comes.
    Session {
        /// Id of the agent.
        agent_type: String,
        /// Text, or ACP content blocks.
        prompt: PromptInput,
        /// Options of the session.
        options: CreateSessionOptions,
    },
    /// Runs a program to its end, without a shell. Its output is dropped; a status other than 0 is an error that names it with the
    /// end of what it wrote to standard error.
    Exec {
        /// The program, found through PATH unless it contains `/`.
        command: String,
        /// Its arguments.
        args: Vec<String>,
    },
    /// Calls a function of this program.
    Callback(CronCallback),
}

impl CronAction {
    /// A callback from an async closure.
    ///
    /// ```
    /// let action = agentos::CronAction::callback(|| async { Err("no disk left".to_owned()) });
    /// ```
    pub fn callback<F, R>(callback: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), String>> + Send + 'static,
    {
        CronAction::Callback(Arc::new(move || Box::pin(callback())))
    }

    /// What can never work is refused when it is scheduled.
    pub(super) fn check(&self) -> Result<()> {
        let wrong = |message: &str| Err(Error::InvalidRequest { message: message.to_owned() });
        match self {
            CronAction::Session { agent_type, .. } if agent_type.is_empty() => wrong("the agent has no id"),
            CronAction::Session { prompt: PromptInput(blocks), .. } if blocks.is_empty() => {
                wrong("the prompt has no content")
            }
            CronAction::Session { options, .. } => options.cwd.as_ref().map(guest_path).transpose().map(drop),
            CronAction::Exec { command, .. } if command.is_empty() => wrong("the command is empty"),
            CronAction::Exec { .. } | CronAction::Callback(_) => Ok(()),
        }
    }

    pub(super) fn info(&self) -> CronActionInfo {
        match self {
            CronAction::Session { agent_type, prompt: PromptInput(blocks), .. } => {
                CronActionInfo::Session { agent_type: agent_type.clone(), prompt: blocks.clone() }
            }
            CronAction::Exec { command, args } => {
                CronActionInfo::Exec { command: command.clone(), args: args.clone() }
            }
            CronAction::Callback(_) => CronActionInfo::Callback,
        }
    }
}

impl fmt::Debug for CronAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.info().fmt(f)
    }
}

/// What a job does, as data. Options of a session are left out: its environment may hold secrets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum CronActionInfo {
    /// [`CronAction::Session`].
    Session {
        /// Id of the agent.
        agent_type: String,
        /// ACP content blocks.
        prompt: Vec<Value>,
    },
    /// [`CronAction::Exec`].
    Exec {
        /// The program.
        command: String,
        /// Its arguments.
        args: Vec<String>,
    },
    /// [`CronAction::Callback`].
    Callback,
}

/// What becomes of a time at which the run before has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CronOverlap {
    /// Another run begins beside it, up to [`super::MAX_CRON_RUNS`] of the job; one more is an error event.
    #[default]
    Allow,
    /// Nothing: the next time counts.
    Skip,
    /// One run begins when that one ends, however many times have passed.
    Queue,
}

/// Options of [`crate::AgentOs::schedule_cron`].
#[derive(Clone, Debug)]
pub struct CronJobOptions {
    /// Id of the job, 1 to 255 bytes; one is made.
    pub id: Option<String>,
    /// When it runs: [`super::Schedule`].
    pub schedule: String,
    /// What it does.
    pub action: CronAction,
    /// What to do while it still runs; allow.
    pub overlap: CronOverlap,
}

impl CronJobOptions {
    /// A job without an id of yours, whose runs may overlap.
    pub fn new(schedule: impl Into<String>, action: CronAction) -> Self {
        CronJobOptions { id: None, schedule: schedule.into(), action, overlap: CronOverlap::default() }
    }
}

/// A job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CronJobInfo {
    /// Its id.
    pub id: String,
    /// Its schedule, as given.
    pub schedule: String,
    /// What it does.
    pub action: CronActionInfo,
    /// What it does while it still runs.
    pub overlap: CronOverlap,
    /// When its last run began.
    pub last_run: Option<DateTime<Utc>>,
    /// When the next one begins; none for a moment that has passed.
    pub next_run: Option<DateTime<Utc>>,
    /// Runs that were begun.
    pub run_count: u64,
    /// At least one is under way.
    pub running: bool,
}
