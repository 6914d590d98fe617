//! The skills of a session before its backend starts: they come in their time, or the session goes on without them, and
//! its events say which are missing and why.

use serde_json::{Map, Value};

use super::{SKILLS_TIMEOUT, Shared};
use crate::ErrorInfo;
use crate::event::{Body, Diagnostic, DiagnosticSource, Draft, Severity};
use crate::ports::{Materialized, SkippedSkill};

/// Skills that are reported one by one: events must not be without limit.
const MAX_REPORTED: usize = 256;

impl Shared {
    /// Has them put where the agent finds them.
    pub(super) async fn bring_skills(&self) {
        let skills = self.cx.ports.skills.materialize(&self.cx.execution);
        let came = match tokio::time::timeout(SKILLS_TIMEOUT, skills).await {
            Ok(came) => came,
            Err(_) => {
                let text = format!("the skills did not come in {} s", SKILLS_TIMEOUT.as_secs());
                Err(ErrorInfo::retryable("skill.timed_out", text))
            }
        };
        let came = came.unwrap_or_else(|error| {
            self.report_skills(failed(&error));
            Materialized::default()
        });
        for skipped in came.skipped.iter().take(MAX_REPORTED) {
            self.report_skills(left_out(skipped));
        }
        if let Some(error) = &came.catalog_error {
            self.report_skills(failed(error));
        }
        // It is done once, so it is not known already.
        let _ = self.link.skills.set(came);
    }

    fn report_skills(&self, diagnostic: Diagnostic) {
        self.link.locked().push(Draft::of_session(Body::DiagnosticReported(diagnostic)));
    }
}

fn left_out(skipped: &SkippedSkill) -> Diagnostic {
    let detail = |name: &str, value: &str| (name.to_owned(), Value::from(value));
    let details = [detail("skillId", &skipped.skill_id), detail("skillName", &skipped.skill_name)];
    Diagnostic {
        code: "skill.skipped".to_owned(),
        message: skipped.message.clone(),
        severity: if skipped.is_wanted() { Severity::Info } else { Severity::Warn },
        source: DiagnosticSource::Core,
        reason: Some(skipped.reason.clone()),
        details: Map::from_iter(details),
    }
}

/// Skills as a whole. The code says what, the reason why.
fn failed(error: &ErrorInfo) -> Diagnostic {
    Diagnostic {
        code: "skill.failed".to_owned(),
        message: error.message.clone(),
        severity: Severity::Error,
        source: DiagnosticSource::Core,
        reason: Some(error.code.clone()),
        details: error.details.clone().into_iter().collect(),
    }
}
