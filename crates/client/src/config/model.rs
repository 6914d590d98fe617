//! Access to a model for the agents of a VM: one choice that becomes environment, egress rules and a secret.
//! It asks no model.

use super::{AgentOsConfig, EgressCredential};
use crate::error::{Error, Result};

/// How the names of keys begin among [`AgentOsConfig::secrets`]; each is of one origin, so that none goes to another.
const SECRET: &str = "agentos-model";

/// How a model is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ModelApi {
    /// Anthropic's Messages.
    Anthropic,
    /// OpenAI's Chat Completions, and whatever is compatible with them.
    OpenAiChat,
    /// OpenAI's Responses.
    OpenAiResponses,
}

impl ModelApi {
    /// The name, as in `AGENTOS_MODEL_API`: `anthropic`, `openai-chat`, `openai-responses`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ModelApi::Anthropic => "anthropic",
            ModelApi::OpenAiChat => "openai-chat",
            ModelApi::OpenAiResponses => "openai-responses",
        }
    }

    /// The API of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [ModelApi::Anthropic, ModelApi::OpenAiChat, ModelApi::OpenAiResponses]
            .into_iter()
            .find(|api| api.name() == name)
    }

    /// Where the vendor's own endpoint is.
    fn vendor(self) -> &'static str {
        match self {
            ModelApi::Anthropic => "https://api.anthropic.com",
            ModelApi::OpenAiChat | ModelApi::OpenAiResponses => "https://api.openai.com/v1",
        }
    }

    /// The model of the vendor that is asked unless another one is named.
    fn usual(self) -> &'static str {
        match self {
            ModelApi::Anthropic => "claude-sonnet-4-5",
            ModelApi::OpenAiChat | ModelApi::OpenAiResponses => "gpt-5",
        }
    }
}

/// A model that agents of a VM may ask, such as the bundled agent `coder`. The key stays on the host: it is put into requests to
/// the endpoint, and no guest sees it.
///
/// ```no_run
/// # async fn f() -> Result<(), agentos::Error> {
/// use agentos::{AgentOs, AgentOsConfig, ModelAccess, ModelApi};
/// let mut config = AgentOsConfig::default();
/// let key = std::env::var("ANTHROPIC_API_KEY").unwrap_or_default();
/// ModelAccess::new(ModelApi::Anthropic, "claude-sonnet-4-5").key(key).apply(&mut config)?;
/// let os = AgentOs::create(config).await?;
/// let session = os.create_session("coder", Default::default()).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ModelAccess {
    api: ModelApi,
    model: String,
    base_url: String,
    key: Option<String>,
    context: Option<u64>,
    max_tokens: Option<u64>,
}

impl std::fmt::Debug for ModelAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelAccess")
            .field("api", &self.api)
            .field("model", &self.model)
            .field("base_url", &self.base_url)
            .field("key", &self.key.as_ref().map(|_| "…"))
            .finish_non_exhaustive()
    }
}

impl ModelAccess {
    /// A model at its vendor's own endpoint; several with commas are a choice.
    pub fn new(api: ModelApi, model: impl Into<String>) -> Self {
        Self {
            api,
            model: model.into(),
            base_url: api.vendor().to_owned(),
            key: None,
            context: None,
            max_tokens: None,
        }
    }

    /// Another endpoint, with or without `/v1`.
    #[must_use]
    pub fn base_url(self, base_url: impl Into<String>) -> Self {
        Self { base_url: base_url.into(), ..self }
    }

    /// The key of the endpoint; empty: none, as for a server on the own host.
    #[must_use]
    pub fn key(self, key: impl Into<String>) -> Self {
        Self { key: Some(key.into()).filter(|key| !key.is_empty()), ..self }
    }

    /// Size of the context window, in tokens.
    #[must_use]
    pub fn context(self, tokens: u64) -> Self {
        Self { context: Some(tokens), ..self }
    }

    /// Most tokens of one answer.
    #[must_use]
    pub fn max_tokens(self, tokens: u64) -> Self {
        Self { max_tokens: Some(tokens), ..self }
    }

    /// The access that variables of the host configure, and which of them decided: `AGENTOS_MODEL_API`, `AGENTOS_MODEL`,
    /// `AGENTOS_MODEL_BASE_URL`, `AGENTOS_MODEL_KEY`, `AGENTOS_MODEL_CONTEXT`, `AGENTOS_MODEL_MAX_TOKENS`; and those of the
    /// vendors, `ANTHROPIC_API_KEY`, `ANTHROPIC_BASE_URL`, `OPENAI_API_KEY`, `OPENAI_BASE_URL`. `None` if there is no key and no
    /// base URL.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`]: a variable has a wrong value, or the model of an endpoint that is not the vendor's is missing.
    ///
    /// ```
    /// use agentos::ModelAccess;
    /// let variables = |name: &str| (name == "OPENAI_API_KEY").then(|| "sk-1".to_owned());
    /// let (_, decided) = ModelAccess::from_env(variables)?.expect("a key is there");
    /// assert_eq!(decided, "OPENAI_API_KEY");
    /// assert!(ModelAccess::from_env(|_| None)?.is_none());
    /// # Ok::<(), agentos::Error>(())
    /// ```
    pub fn from_env(get: impl Fn(&str) -> Option<String>) -> Result<Option<(Self, &'static str)>> {
        let get = |name: &str| get(name).map(|v| v.trim().to_owned()).filter(|value| !value.is_empty());
        let api = match get("AGENTOS_MODEL_API") {
            None => None,
            Some(name) => {
                let wrong = || invalid("AGENTOS_MODEL_API", "is anthropic, openai-chat or openai-responses");
                Some(ModelApi::named(&name).ok_or_else(wrong)?)
            }
        };
        let vendor = |names: [&'static str; 2]| names.into_iter().find(|name| get(name).is_some());
        let anthropic = vendor(["ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"]);
        let openai = vendor(["OPENAI_API_KEY", "OPENAI_BASE_URL"]);
        let own = vendor(["AGENTOS_MODEL_BASE_URL", "AGENTOS_MODEL_KEY"]);
        let (api, decided) = match (api, own, anthropic, openai) {
            (Some(api), own, anthropic, openai) => {
                let of_vendor = if api == ModelApi::Anthropic { anthropic } else { openai };
                (api, own.or(of_vendor).unwrap_or("AGENTOS_MODEL_API"))
            }
            (None, Some(name), ..) => {
                return Err(invalid("AGENTOS_MODEL_API", &format!("is missing, while {name} is set")));
            }
            (None, None, Some(name), _) => (ModelApi::Anthropic, name),
            // Compatible endpoints know the older API, mostly.
            (None, None, None, Some(name)) if get("OPENAI_BASE_URL").is_some() => {
                (ModelApi::OpenAiChat, name)
            }
            (None, None, None, Some(name)) => (ModelApi::OpenAiResponses, name),
            (None, None, None, None) => return Ok(None),
        };
        let (base, key) = match api {
            ModelApi::Anthropic => ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY"),
            ModelApi::OpenAiChat | ModelApi::OpenAiResponses => ("OPENAI_BASE_URL", "OPENAI_API_KEY"),
        };
        // A key of a vendor is for that vendor, and not for an endpoint that was named for agents.
        let (base, key) = match get("AGENTOS_MODEL_BASE_URL") {
            Some(url) => (Some(url), get("AGENTOS_MODEL_KEY")),
            None => (get(base), get("AGENTOS_MODEL_KEY").or_else(|| get(key))),
        };
        let model = match (get("AGENTOS_MODEL"), &base) {
            (Some(model), _) => model,
            (None, None) => api.usual().to_owned(),
            (None, Some(url)) => {
                return Err(invalid(
                    "AGENTOS_MODEL",
                    &format!("is missing: which model of {url} is to be asked?"),
                ));
            }
        };
        let number = |name: &str| match get(name).map(|text| text.parse()) {
            None => Ok(None),
            Some(Ok(number)) => Ok(Some(number)),
            Some(Err(_)) => Err(invalid(name, "is no number of tokens")),
        };
        let access = Self {
            base_url: base.unwrap_or_else(|| api.vendor().to_owned()),
            key,
            context: number("AGENTOS_MODEL_CONTEXT")?,
            max_tokens: number("AGENTOS_MODEL_MAX_TOKENS")?,
            ..Self::new(api, model)
        };
        Ok(Some((access, decided)))
    }

    /// The API, the model and the endpoint, for a person.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("{} of {} over {}", self.model, self.base_url, self.api.name())
    }

    /// Puts it into a configuration: the variables of agents; the endpoint into [`AgentOsConfig::egress`], with the key as a
    /// credential and a secret; for an endpoint on this host its port into [`AgentOsConfig::loopback_exempt_ports`].
    ///
    /// Applied twice it is there once; of two accesses the later one holds.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`]: the base URL is none.
    pub fn apply(&self, config: &mut AgentOsConfig) -> Result<()> {
        let Endpoint { origin, loopback_port } = Endpoint::of(&self.base_url)?;
        let mut set = |name: &str, value: String| config.env.insert(name.to_owned(), value);
        set("AGENTOS_MODEL_API", self.api.name().to_owned());
        set("AGENTOS_MODEL", self.model.clone());
        set("AGENTOS_MODEL_BASE_URL", self.base_url.clone());
        if let Some(tokens) = self.context {
            set("AGENTOS_MODEL_CONTEXT", tokens.to_string());
        }
        if let Some(tokens) = self.max_tokens {
            set("AGENTOS_MODEL_MAX_TOKENS", tokens.to_string());
        }
        let egress = config.egress.get_or_insert_default();
        if !egress.allow.contains(&origin) {
            egress.allow.push(origin.clone());
        }
        // An access that was applied before is gone with its key.
        egress.credentials.retain(|known| !known.value.contains(&format!("{{{SECRET}")));
        config.secrets.retain(|name, _| !name.starts_with(SECRET));
        if let Some(key) = &self.key {
            let secret = secret_name(&origin);
            let (header, value) = match self.api {
                ModelApi::Anthropic => ("x-api-key", format!("{{{secret}}}")),
                ModelApi::OpenAiChat | ModelApi::OpenAiResponses => {
                    ("authorization", format!("Bearer {{{secret}}}"))
                }
            };
            egress.credentials.retain(|known| known.origin != origin || known.header != header);
            egress.credentials.push(EgressCredential::new(origin, header, value));
            config.secrets.insert(secret, key.clone().into());
        }
        if let Some(port) = loopback_port
            && !config.loopback_exempt_ports.contains(&port)
        {
            config.loopback_exempt_ports.push(port);
        }
        Ok(())
    }
}

/// The name of the secret with the key of an origin.
fn secret_name(origin: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    format!("{SECRET}-{}", origin.chars().map(plain).collect::<String>())
}

fn invalid(path: &str, reason: &str) -> Error {
    Error::InvalidConfig { path: path.to_owned(), reason: reason.to_owned() }
}

/// What a base URL says of its endpoint.
#[derive(Debug, PartialEq, Eq)]
struct Endpoint {
    /// Scheme, host and port.
    origin: String,
    /// The port, if the host is this one.
    loopback_port: Option<u16>,
}

impl Endpoint {
    fn of(base: &str) -> Result<Self> {
        let wrong = || {
            // Not the URL itself: what is wrong with it may be a password.
            let reason =
                "it is not http:// or https:// with a host, without user, query and fragment".to_owned();
            Error::InvalidConfig { path: "base_url".to_owned(), reason }
        };
        let (scheme, rest) = base.split_once("://").ok_or_else(wrong)?;
        let usual = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return Err(wrong()),
        };
        let place = rest.split('/').next().unwrap_or_default();
        if place.is_empty() || rest.contains(['@', '?', '#', '\\']) || rest.contains(char::is_whitespace) {
            return Err(wrong());
        }
        // A port follows the last colon, but the colons of an IPv6 address are within brackets.
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().map_err(|_| wrong())?),
            _ => (place, usual),
        };
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let loopback = name.eq_ignore_ascii_case("localhost")
            || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        Ok(Self { origin: format!("{scheme}://{place}"), loopback_port: loopback.then_some(port) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_env(variables: &[(&str, &str)]) -> Result<Option<(ModelAccess, &'static str)>> {
        let find = |name: &str| variables.iter().find(|(n, _)| *n == name);
        ModelAccess::from_env(|name| find(name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn variables_choose_the_model() {
        for (variables, want) in [
            (
                &[("ANTHROPIC_API_KEY", "k")][..],
                "ANTHROPIC_API_KEY claude-sonnet-4-5 of https://api.anthropic.com over anthropic",
            ),
            (
                &[("OPENAI_API_KEY", "k")],
                "OPENAI_API_KEY gpt-5 of https://api.openai.com/v1 over openai-responses",
            ),
            (
                &[("OPENAI_BASE_URL", "http://h/v1"), ("AGENTOS_MODEL", "m")],
                "OPENAI_BASE_URL m of http://h/v1 over openai-chat",
            ),
            (
                &[("ANTHROPIC_API_KEY", "k"), ("OPENAI_API_KEY", "k"), ("AGENTOS_MODEL_API", "openai-chat")],
                "OPENAI_API_KEY gpt-5 of https://api.openai.com/v1 over openai-chat",
            ),
            (
                &[
                    ("AGENTOS_MODEL_API", "anthropic"),
                    ("AGENTOS_MODEL_BASE_URL", "http://h"),
                    ("AGENTOS_MODEL", "m"),
                ],
                "AGENTOS_MODEL_BASE_URL m of http://h over anthropic",
            ),
        ] {
            let (access, decided) = from_env(variables).unwrap().unwrap();
            assert_eq!(format!("{decided} {}", access.describe()), want);
        }
        assert!(from_env(&[("ANTHROPIC_API_KEY", " ")]).unwrap().is_none());
        assert!(from_env(&[("AGENTOS_MODEL", "m")]).unwrap().is_none());
        for (variables, path) in [
            (&[("AGENTOS_MODEL_API", "x")][..], "AGENTOS_MODEL_API"),
            (&[("AGENTOS_MODEL_BASE_URL", "http://h")], "AGENTOS_MODEL_API"),
            (&[("ANTHROPIC_BASE_URL", "http://h")], "AGENTOS_MODEL"),
            (&[("OPENAI_API_KEY", "k"), ("AGENTOS_MODEL_CONTEXT", "x")], "AGENTOS_MODEL_CONTEXT"),
        ] {
            assert!(matches!(from_env(variables), Err(Error::InvalidConfig { path: p, .. }) if p == path));
        }
    }

    #[test]
    fn a_vendors_key_goes_to_its_vendor_only() {
        let variables = [
            ("AGENTOS_MODEL_API", "openai-chat"),
            ("AGENTOS_MODEL_BASE_URL", "https://elsewhere.example/v1"),
            ("AGENTOS_MODEL", "m"),
            ("OPENAI_API_KEY", "sk-secret"),
        ];
        let (access, _) = from_env(&variables).unwrap().unwrap();
        let mut config = AgentOsConfig::default();
        access.apply(&mut config).unwrap();
        assert!(config.secrets.is_empty() && config.egress.unwrap().credentials.is_empty());
    }

    #[test]
    fn a_configuration_gets_all_that_it_needs() {
        let mut config = AgentOsConfig::default();
        let access =
            ModelAccess::new(ModelApi::OpenAiChat, "m").base_url("http://127.0.0.1:81/v1").key("sk-secret");
        assert!(!format!("{access:?}").contains("sk-secret"));
        access.context(5000).max_tokens(7).apply(&mut config).unwrap();
        let egress = config.egress.unwrap();
        assert_eq!(egress.allow, ["http://127.0.0.1:81"]);
        let credential = &egress.credentials[0];
        assert_eq!(
            (credential.header.as_str(), credential.value.as_str()),
            ("authorization", "Bearer {agentos-model-http---127-0-0-1-81}")
        );
        assert_eq!(credential.origin, "http://127.0.0.1:81");
        assert_eq!(config.loopback_exempt_ports, [81]);
        assert!(config.secrets.contains_key("agentos-model-http---127-0-0-1-81"));
        // Another access takes its place, and no key goes to where the other one went.
        let other = ModelAccess::new(ModelApi::Anthropic, "n").base_url("https://other.example").key("sk-2");
        let mut both = AgentOsConfig {
            egress: Some(egress.clone()),
            secrets: config.secrets.clone(),
            ..AgentOsConfig::default()
        };
        other.apply(&mut both).unwrap();
        let credentials = both.egress.unwrap().credentials;
        assert_eq!((credentials.len(), credentials[0].origin.as_str()), (1, "https://other.example"));
        assert_eq!(both.secrets.len(), 1);
        let variable = |name: &str| config.env[name].as_str();
        assert_eq!(variable("AGENTOS_MODEL_API"), "openai-chat");
        assert_eq!((variable("AGENTOS_MODEL_CONTEXT"), variable("AGENTOS_MODEL_MAX_TOKENS")), ("5000", "7"));
        assert!(config.env.values().all(|value| !value.contains("sk-secret")));
    }

    #[test]
    fn endpoints_are_read() {
        for (base, origin, loopback_port) in [
            ("https://api.anthropic.com", "https://api.anthropic.com", None),
            ("https://h:8443/a/b", "https://h:8443", None),
            ("http://localhost/v1", "http://localhost", Some(80)),
            ("http://[::1]:9/v1", "http://[::1]:9", Some(9)),
            ("https://[::1]", "https://[::1]", Some(443)),
            ("http://127.1.2.3:1", "http://127.1.2.3:1", Some(1)),
        ] {
            let endpoint = Endpoint { origin: origin.to_owned(), loopback_port };
            assert_eq!(Endpoint::of(base).unwrap(), endpoint);
        }
        for base in [
            "",
            "h",
            "ftp://h",
            "http://",
            "http://u:p@h",
            "http://h:port",
            "http://h:99999",
            "http://h/?k=1",
        ] {
            assert!(Endpoint::of(base).is_err(), "{base}");
        }
    }
}
