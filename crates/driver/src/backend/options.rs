//! What all backends make alike of an execution: its options put over their own, the variables of the vendor, the grants of
//! its MCP servers, and what the agent is told.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::ErrorInfo;
use crate::boot::{Execution, McpServer, PREFIX};
use crate::ports::MaterializedSkill;

/// The code of provider options that cannot be used.
pub(super) const MALFORMED: &str = "driver.provider_options_malformed";

/// Provider options that cannot be used.
pub(super) fn malformed(what: impl std::fmt::Display) -> ErrorInfo {
    ErrorInfo::new(MALFORMED, format!("execution.providerOptions: {what}"))
}

/// Refuses options that the backend does not have: none is ignored.
pub(super) fn only(options: &Map<String, Value>, known: &[&str]) -> Result<(), ErrorInfo> {
    match options.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(malformed(format!("{name}: unknown; there are {}", known.join(", ")))),
        None => Ok(()),
    }
}

/// Puts one value over another, objects member by member.
pub(super) fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (name, value) in over {
                merge(base.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (base, over) => base.clone_from(over),
    }
}

/// Variables of a vendor: these and then those, without any of the driver's own.
pub(super) fn variables(
    first: &BTreeMap<String, String>,
    then: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let all = first.iter().chain(then).filter(|(name, _)| !name.starts_with(PREFIX));
    all.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// An MCP server that can be used.
pub(super) struct Usable<'a> {
    pub(super) server: &'a McpServer,
    pub(super) url: &'a str,
    /// The variable that holds its grant, counted among those that can be used.
    pub(super) variable: String,
    /// That grant, or the one that it came with.
    pub(super) grant: Option<&'a str>,
}

/// The MCP servers that can be used.
pub(super) fn usable(execution: &Execution) -> impl Iterator<Item = Usable<'_>> {
    let active =
        execution.session.mcp_servers.iter().filter_map(|server| Some((server, server.active_url()?)));
    active.enumerate().map(|(n, (server, url))| {
        let variable = format!("{PREFIX}MCP_TOKEN_{n}");
        let given = execution.environment.variables.get(&variable).or(server.proxy_grant_id.as_ref());
        let grant = given.map(String::as_str).filter(|grant| !grant.is_empty());
        Usable { server, url, variable, grant }
    })
}

/// The servers that cannot be used.
pub(super) fn left_out(execution: &Execution) -> impl Iterator<Item = &McpServer> {
    execution.session.mcp_servers.iter().filter(|server| server.active_url().is_none())
}

/// What the agent is told beside its own instructions: what the profile says, and where the skills are. Empty if that is
/// nothing.
pub(super) fn guide(profile: &str, skills: &[MaterializedSkill], catalog: Option<&str>) -> String {
    let mut text = profile.trim().to_owned();
    if skills.is_empty() {
        return text;
    }
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str("Skills you can use; read a skill's file before you use it:");
    for skill in skills {
        text.push_str(&format!("\n- {}: {}", skill.skill_name, skill.skill_markdown_path));
    }
    if let Some(catalog) = catalog {
        text.push_str(&format!("\nAll of them are listed in {catalog}."));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn merging_is_deep() {
        let mut base = json!({"a": {"b": 1, "c": 2}, "d": [1]});
        merge(&mut base, &json!({"a": {"c": 3}, "d": [2], "e": null}));
        assert_eq!(base, json!({"a": {"b": 1, "c": 3}, "d": [2], "e": null}));
    }

    #[test]
    fn an_option_that_nobody_has_is_refused_by_its_name() {
        let options = json!({"env": {}, "colour": 1}).as_object().cloned().unwrap();
        assert!(only(&options, &["env", "colour"]).is_ok());
        let error = only(&options, &["env"]).unwrap_err();
        assert!(error.code == MALFORMED && error.message.contains("colour"), "{error}");
    }

    #[test]
    fn grants_are_counted_among_the_servers_that_can_be_used() {
        let execution: Execution = serde_json::from_value(json!({
            "environment": {"variables": {"AGENT_DRIVER_MCP_TOKEN_1": "given"}},
            "session": {"mcpServers": [
                {"name": "off", "authorizationState": "expired", "proxyUrl": "http://p/0"},
                {"name": "a", "authorizationState": "active", "proxyUrl": "http://p/1", "proxyGrantId": "g"},
                {"name": "b", "authorizationState": "active", "proxyUrl": "http://p/2", "proxyGrantId": "h"},
            ]},
        }))
        .unwrap();
        let all: Vec<_> = usable(&execution).map(|u| (u.server.name.clone(), u.variable, u.grant)).collect();
        let of = |name: &str, n, grant| (name.to_owned(), format!("AGENT_DRIVER_MCP_TOKEN_{n}"), Some(grant));
        assert_eq!(all, [of("a", 0, "g"), of("b", 1, "given")]);
        assert_eq!(left_out(&execution).map(|server| server.name.as_str()).collect::<Vec<_>>(), ["off"]);
    }

    #[test]
    fn the_agent_is_told_its_profile_and_its_skills() {
        let skill = MaterializedSkill {
            skill_id: "s".into(),
            skill_name: "maps".into(),
            mount_path: "/m".into(),
            skill_markdown_path: "/m/SKILL.md".into(),
            snapshot_id: "1".into(),
        };
        assert_eq!(guide(" ", &[], Some("/c")), "");
        assert_eq!(guide("Be kind.", &[], None), "Be kind.");
        let told = guide("Be kind.", &[skill], Some("/c"));
        assert!(told.starts_with("Be kind.\n\nSkills"), "{told}");
        assert!(told.contains("- maps: /m/SKILL.md") && told.contains("/c"), "{told}");
    }
}
