//! Which agent `agentos run` and `agentos acp` prompt, and with which model. It makes no machine.

use agentos::{AgentOsConfig, ModelAccess, ModelApi};
use miette::{IntoDiagnostic, Result};

use crate::args::{AgentArgs, ApiArg};

/// The agent that has a model.
const CODER: &str = "coder";

/// The agent that needs none.
const SCRIPTED: &str = "scripted";

/// What was chosen.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) agent: String,
    /// To be set in the session.
    pub(crate) model: Option<String>,
    /// What was chosen and why, for a user who did not choose the agent.
    pub(crate) why: Option<String>,
}

/// Chooses by arguments and by variables of the host, and puts access to the model into the configuration.
pub(crate) fn choose(
    args: &AgentArgs,
    config: &mut AgentOsConfig,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Choice> {
    let asked = args.base_url.is_some() || args.api.is_some();
    match args.agent.as_deref() {
        Some(CODER) | None => {}
        Some(agent) if asked => {
            return Err(miette::miette!(
                "--base-url and --api are for the agent `{CODER}`, not for `{agent}`"
            ));
        }
        Some(agent) => {
            return Ok(Choice { agent: agent.to_owned(), model: args.model.clone(), why: None });
        }
    }
    let api = args.api.map(|api| match api {
        ApiArg::Anthropic => ModelApi::Anthropic,
        ApiArg::OpenaiChat => ModelApi::OpenAiChat,
        ApiArg::OpenaiResponses => ModelApi::OpenAiResponses,
    });
    // Arguments stand in for the variables of the same meaning.
    let variables = |name: &str| match name {
        "AGENTOS_MODEL_API" => api.map(|api| api.name().to_owned()).or_else(|| variable(name)),
        "AGENTOS_MODEL_BASE_URL" => args.base_url.clone().or_else(|| variable(name)),
        "AGENTOS_MODEL" => args.model.clone().or_else(|| variable(name)),
        _ => variable(name),
    };
    let Some((access, decided)) = ModelAccess::from_env(variables).into_diagnostic()? else {
        if args.agent.is_some() {
            return Err(miette::miette!(
                help = "set ANTHROPIC_API_KEY or OPENAI_API_KEY, or name an endpoint with --base-url, --api and --model",
                "the agent `{CODER}` has no model"
            ));
        }
        let why = format!(
            "agent {SCRIPTED}, which has no model, as none is configured (ANTHROPIC_API_KEY, OPENAI_API_KEY, --base-url)"
        );
        return Ok(Choice { agent: SCRIPTED.to_owned(), model: args.model.clone(), why: Some(why) });
    };
    access.apply(config).into_diagnostic()?;
    let by = match decided {
        "AGENTOS_MODEL_BASE_URL" if args.base_url.is_some() => "--base-url is given".to_owned(),
        "AGENTOS_MODEL_API" if api.is_some() => "--api is given".to_owned(),
        name => format!("{name} is set"),
    };
    let why = format!("agent {CODER} with {}, as {by}", access.describe());
    Ok(Choice { agent: CODER.to_owned(), model: None, why: args.agent.is_none().then_some(why) })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command};

    fn chosen(arguments: &[&str], variables: &[(&str, &str)]) -> (Result<Choice>, AgentOsConfig) {
        let all = ["agentos", "run"].iter().chain(arguments).chain(&["hi"]);
        let Command::Run(args) = Cli::parse_from(all).command else { panic!("run") };
        let mut config = AgentOsConfig::default();
        let find = |name: &str| variables.iter().find(|(n, _)| *n == name);
        let choice =
            choose(&args.agent, &mut config, |name| find(name).map(|(_, value)| (*value).to_owned()));
        (choice, config)
    }

    #[test]
    fn a_model_that_is_configured_is_used() {
        let key = [("ANTHROPIC_API_KEY", "sk-secret")];
        for (arguments, variables, want) in [
            (&[][..], &[][..], "agent scripted, which has no model"),
            (
                &[],
                &key,
                "agent coder with claude-sonnet-4-5 of https://api.anthropic.com over anthropic, as ANTHROPIC_API_KEY is set",
            ),
            (&["--model", "m"], &key, "agent coder with m of"),
            (&["--agent", "scripted"], &key, ""),
            (
                &["--base-url", "http://127.0.0.1:9/v1", "--api", "openai-chat", "--model", "m"],
                &key,
                "agent coder with m of http://127.0.0.1:9/v1 over openai-chat, as --base-url is given",
            ),
        ] {
            let (choice, config) = chosen(arguments, variables);
            let choice = choice.unwrap();
            let why = choice.why.unwrap_or_default();
            assert!(why.starts_with(want) && why.is_empty() == want.is_empty(), "{why}");
            assert_eq!(choice.agent == "coder", config.egress.is_some());
            assert!(!why.contains("secret") && !format!("{config:?}").contains("sk-secret"));
        }
        // The key of a vendor is not for the endpoint that was named.
        let (_, config) = chosen(&["--base-url", "http://h", "--api", "anthropic", "--model", "m"], &key);
        assert!(config.secrets.is_empty());
    }

    #[test]
    fn what_cannot_be_is_an_error() {
        for (arguments, want) in [
            (&["--agent", "coder"][..], "has no model"),
            (&["--agent", "scripted", "--base-url", "http://h"], "are for the agent `coder`"),
            (&["--base-url", "http://h", "--model", "m"], "AGENTOS_MODEL_API"),
            (&["--base-url", "http://h", "--api", "anthropic"], "AGENTOS_MODEL"),
            (&["--base-url", "h", "--api", "anthropic", "--model", "m"], "base_url"),
        ] {
            let error = format!("{:?}", chosen(arguments, &[]).0.unwrap_err());
            assert!(error.contains(want), "{error}");
        }
    }
}
