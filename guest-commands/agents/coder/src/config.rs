//! Which model the agent asks, and where: read from its environment. The key is not here: the host puts it into requests.

/// How a model is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// Anthropic's Messages.
    Anthropic,
    /// OpenAI's Chat Completions, and whatever is compatible with them.
    OpenAiChat,
    /// OpenAI's Responses.
    OpenAiResponses,
}

impl Api {
    const ALL: [(&'static str, Api); 3] = [
        ("anthropic", Api::Anthropic),
        ("openai-chat", Api::OpenAiChat),
        ("openai-responses", Api::OpenAiResponses),
    ];

    /// The name in `AGENTOS_MODEL_API`.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, api)| *api == self).map_or("", |(name, _)| name)
    }
}

/// Longest name of a model, in bytes.
pub(crate) const MAX_MODEL: usize = 256;

/// Models that can be chosen.
const MAX_MODELS: usize = 64;

/// Least size of a context, in tokens: instructions and tools alone need some thousands.
const MIN_CONTEXT: u64 = 4096;

/// The model's side of the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How it is spoken to.
    pub api: Api,
    /// Where requests go.
    pub url: String,
    /// The models to choose from; the first one is used unless another is chosen.
    pub models: Vec<String>,
    /// Size of the context window, in tokens.
    pub context: u64,
    /// Most tokens of one answer; `None` leaves it to the endpoint.
    pub max_tokens: Option<u64>,
}

impl Settings {
    /// Reads the variables `AGENTOS_MODEL*`.
    ///
    /// # Errors
    /// What is missing or wrong, and what to set.
    ///
    /// ```
    /// use agentos_coder::Settings;
    /// let missing = Settings::from_env(|_| None).unwrap_err();
    /// assert!(missing.contains("AGENTOS_MODEL_API"));
    /// ```
    pub fn from_env(get: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let get =
            |name: &str| get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let names = Api::ALL.map(|(name, _)| name).join(", ");
        let Some(api) = get("AGENTOS_MODEL_API") else {
            return Err(format!(
                "coder has no model: set AGENTOS_MODEL_API ({names}), AGENTOS_MODEL and AGENTOS_MODEL_BASE_URL in the \
                 environment of the machine, and let its egress policy add the key to requests"
            ));
        };
        let Some((_, api)) = Api::ALL.into_iter().find(|(name, _)| *name == api) else {
            return Err(format!("AGENTOS_MODEL_API is {api:?}; it must be one of {names}"));
        };
        let models: Vec<String> = get("AGENTOS_MODEL")
            .unwrap_or_default()
            .split(',')
            .map(|model| model.trim().to_owned())
            .filter(|model| !model.is_empty())
            .collect();
        if models.is_empty() {
            return Err(
                "coder has no model: set AGENTOS_MODEL to its name, or to several with commas".to_owned()
            );
        }
        if models.len() > MAX_MODELS || models.iter().any(|model| model.len() > MAX_MODEL) {
            return Err(format!(
                "AGENTOS_MODEL names more than {MAX_MODELS} models, or one of more than {MAX_MODEL} bytes"
            ));
        }
        let number = |name: &str, least: u64| match get(name) {
            None => Ok(None),
            Some(text) => match text.parse::<u64>() {
                Ok(number) if number >= least => Ok(Some(number)),
                _ => Err(format!("{name} is {text:?}; it must be a number of tokens, at least {least}")),
            },
        };
        let default_context = if api == Api::Anthropic { 200_000 } else { 128_000 };
        let context = number("AGENTOS_MODEL_CONTEXT", MIN_CONTEXT)?.unwrap_or(default_context);
        let max_tokens = number("AGENTOS_MODEL_MAX_TOKENS", 1)?;
        // Anthropic wants a number in any case.
        let max_tokens =
            if api == Api::Anthropic { max_tokens.or(Some(16_384.min(context / 4))) } else { max_tokens };
        let url = url(api, get("AGENTOS_MODEL_BASE_URL").as_deref())?;
        Ok(Self { api, url, models, context, max_tokens })
    }
}

/// The address of requests from a base with or without its version.
fn url(api: Api, base: Option<&str>) -> Result<String, String> {
    let base = base.unwrap_or(match api {
        Api::Anthropic => "https://api.anthropic.com",
        Api::OpenAiChat | Api::OpenAiResponses => "https://api.openai.com/v1",
    });
    let wrong = || {
        format!(
            "AGENTOS_MODEL_BASE_URL is {base:?}; it must be http:// or https:// with a host, without user, query and fragment"
        )
    };
    let rest = base.strip_prefix("https://").or_else(|| base.strip_prefix("http://")).ok_or_else(wrong)?;
    let host = rest.split('/').next().unwrap_or_default();
    if host.is_empty() || rest.contains(['@', '?', '#', '\\']) || rest.contains(char::is_whitespace) {
        return Err(wrong());
    }
    let base = base.trim_end_matches('/');
    let path = rest.trim_end_matches('/').strip_prefix(host).unwrap_or_default();
    Ok(match api {
        Api::Anthropic => format!("{}/v1/messages", base.strip_suffix("/v1").unwrap_or(base)),
        _ => {
            // A path of its own is that of a compatible endpoint, whatever it is called.
            let version = if path.is_empty() { "/v1" } else { "" };
            let call = if api == Api::OpenAiChat { "chat/completions" } else { "responses" };
            format!("{base}{version}/{call}")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::from_env(|name| {
            variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn bases_are_taken_with_and_without_version() {
        for (api, base, want) in [
            (Api::Anthropic, None, "https://api.anthropic.com/v1/messages"),
            (Api::Anthropic, Some("http://h:1"), "http://h:1/v1/messages"),
            (Api::Anthropic, Some("http://h:1/v1/"), "http://h:1/v1/messages"),
            (Api::Anthropic, Some("https://h/proxy"), "https://h/proxy/v1/messages"),
            (Api::OpenAiChat, None, "https://api.openai.com/v1/chat/completions"),
            (Api::OpenAiChat, Some("http://h:1"), "http://h:1/v1/chat/completions"),
            (Api::OpenAiChat, Some("http://h:1/"), "http://h:1/v1/chat/completions"),
            (Api::OpenAiChat, Some("http://h:1/v1"), "http://h:1/v1/chat/completions"),
            (Api::OpenAiChat, Some("http://h/api/v3"), "http://h/api/v3/chat/completions"),
            (Api::OpenAiResponses, Some("http://h/v1/"), "http://h/v1/responses"),
        ] {
            assert_eq!(url(api, base).unwrap(), want);
        }
        for base in
            ["h", "ftp://h", "http://", "https:///v1", "http://user:key@h", "http://h?x", "http://h #"]
        {
            assert!(
                url(Api::Anthropic, Some(base)).unwrap_err().contains("AGENTOS_MODEL_BASE_URL"),
                "{base}"
            );
        }
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for (variables, want) in [
            (&[][..], "AGENTOS_MODEL_API"),
            (&[("AGENTOS_MODEL_API", "gemini")], "openai-chat"),
            (&[("AGENTOS_MODEL_API", "anthropic")], "AGENTOS_MODEL to"),
            (&[("AGENTOS_MODEL_API", "anthropic"), ("AGENTOS_MODEL", " , ")], "AGENTOS_MODEL to"),
            (
                &[
                    ("AGENTOS_MODEL_API", "anthropic"),
                    ("AGENTOS_MODEL", "m"),
                    ("AGENTOS_MODEL_CONTEXT", "big"),
                ],
                "AGENTOS_MODEL_CONTEXT is \"big\"",
            ),
            (
                &[("AGENTOS_MODEL_API", "anthropic"), ("AGENTOS_MODEL", "m"), ("AGENTOS_MODEL_CONTEXT", "5")],
                "at least 4096",
            ),
            (
                &[
                    ("AGENTOS_MODEL_API", "anthropic"),
                    ("AGENTOS_MODEL", "m"),
                    ("AGENTOS_MODEL_MAX_TOKENS", "0"),
                ],
                "AGENTOS_MODEL_MAX_TOKENS",
            ),
        ] {
            let error = settings(variables).unwrap_err();
            assert!(error.contains(want), "{error}");
        }
        let all = settings(&[("AGENTOS_MODEL_API", "openai-chat"), ("AGENTOS_MODEL", "a, b")]).unwrap();
        assert_eq!((all.models.join(" ").as_str(), all.context, all.max_tokens), ("a b", 128_000, None));
        assert_eq!(Api::OpenAiResponses.name(), "openai-responses");
    }
}
