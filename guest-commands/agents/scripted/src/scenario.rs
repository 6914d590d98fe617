//! What a prompt such as `scenario:text` makes the agent do, always in the same way, so that whatever speaks to agents
//! can be tested against it. The texts are promised: `docs/scripted.md` has them. How tools of MCP servers are used is in
//! [`custom_tool`](crate::custom_tool).

use std::io;

use agentos_agent_common::rpc::{Failure, INTERNAL_ERROR};

use crate::{agent::Agent, tool::Outcome};

/// What the first text of a prompt begins with that names a scenario.
const PREFIX: &str = "scenario:";

/// The answer to a scenario that there is not.
const UNKNOWN: &str = "unknown scenario; there are scenario:text, scenario:tool_ask, scenario:custom_tool, \
                       scenario:slow and scenario:error";

const HELLO: &str = "hello from agent";
const COMMAND: &str = "echo scenario";
const RAN: &str = "the command ran";
const COMMAND_FAILED: &str = "the command failed";
const DENIED: &str = "the command was denied";
const SLOW: &str = "running until cancelled";
const ABOUT_TO_FAIL: &str = "about to fail";
const ERROR: &str = "the scenario failed, as it was told to";

/// A turn that is known beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    Text,
    ToolAsk,
    CustomTool,
    Slow,
    Error,
}

impl Scenario {
    /// The scenario that a text is the name of; `Some(None)` for a name that none has, `None` for any other text.
    pub(crate) fn named(text: &str) -> Option<Option<Self>> {
        let name = text.trim().strip_prefix(PREFIX)?;
        if name.contains(char::is_whitespace) {
            return None;
        }
        Some(match name {
            "text" => Some(Self::Text),
            "tool_ask" => Some(Self::ToolAsk),
            "custom_tool" => Some(Self::CustomTool),
            "slow" => Some(Self::Slow),
            "error" => Some(Self::Error),
            _ => None,
        })
    }
}

impl Agent {
    /// Plays a scenario as the running turn; the result is what the turn fails with.
    pub(crate) fn play(&mut self, scenario: Option<Scenario>) -> io::Result<Option<Failure>> {
        match scenario {
            None => self.say(UNKNOWN)?,
            Some(Scenario::Text) => self.say(HELLO)?,
            Some(Scenario::ToolAsk) => {
                let outcome = self.run_command(COMMAND)?;
                if !self.is_cancelled() {
                    self.say(match outcome {
                        Outcome::Ok => RAN,
                        Outcome::Rejected => DENIED,
                        Outcome::Failed | Outcome::Stopped => COMMAND_FAILED,
                    })?;
                }
            }
            Some(Scenario::CustomTool) => return self.custom_tool(),
            Some(Scenario::Slow) => {
                self.say(SLOW)?;
                // The end of the client cancels too.
                while !self.is_cancelled() {
                    self.wait(None, None)?;
                }
            }
            Some(Scenario::Error) => {
                self.say(ABOUT_TO_FAIL)?;
                return Ok(Some(Failure::new(INTERNAL_ERROR, ERROR)));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_alone_is_a_scenario() {
        for (text, want) in [
            ("scenario:text", Some(Some(Scenario::Text))),
            (" \n scenario:tool_ask\t\n", Some(Some(Scenario::ToolAsk))),
            ("scenario:custom_tool", Some(Some(Scenario::CustomTool))),
            ("scenario:slow", Some(Some(Scenario::Slow))),
            ("scenario:error", Some(Some(Scenario::Error))),
            ("scenario:Text", Some(None)),
            ("scenario:", Some(None)),
            ("scenario:x", Some(None)),
            ("scenario:text please", None),
            ("scenario: text", None),
            ("play scenario:text", None),
            ("Scenario:text", None),
            ("", None),
        ] {
            assert_eq!(Scenario::named(text), want, "{text:?}");
        }
    }
}
