//! Names: of flags from those of properties, and of tools for MCP, where toolkits do not exist.

use std::collections::{BTreeMap, BTreeSet};

use crate::kit::{Kit, Tool};
use crate::schema::{Kind, Property};

/// Flags that every tool has.
pub(crate) const OWN: [&str; 3] = ["help", "json", "json-file"];

/// A property's name as a flag: `maxResults` is `max-results`, `HTMLFile` is `html-file`.
pub(crate) fn kebab(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut flag = String::with_capacity(name.len() + 4);
    for (at, c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| chars.get(at));
        let after = chars.get(at + 1);
        let begins = c.is_uppercase()
            && before.is_some_and(|b| {
                b.is_lowercase()
                    || b.is_numeric()
                    || b.is_uppercase() && after.is_some_and(|a| a.is_lowercase())
            });
        if begins {
            flag.push('-');
        }
        match c {
            '_' | ' ' | '.' => flag.push('-'),
            c => flag.extend(c.to_lowercase()),
        }
    }
    flag
}

/// The flags of a tool: what they are called, and the property that each sets. A boolean has a second one with `no-`. Two
/// properties that would have the same flag have none, and those that the command has for itself belong to no property:
/// they are set by `--json`.
pub(crate) fn flags(properties: &[Property]) -> BTreeMap<String, (usize, bool)> {
    let mut flags = BTreeMap::new();
    let mut twice: BTreeSet<String> = OWN.iter().map(|name| (*name).to_owned()).collect();
    for (at, property) in properties.iter().enumerate() {
        let name = kebab(&property.name);
        let no = (property.kind == Kind::Boolean).then(|| (format!("no-{name}"), (at, false)));
        for (name, sets) in std::iter::once((name, (at, true))).chain(no) {
            if name.is_empty() || name.contains('=') || twice.contains(&name) {
                continue;
            }
            if flags.insert(name.clone(), sets).is_some() {
                flags.remove(&name);
                twice.insert(name);
            }
        }
    }
    flags
}

/// The tools by the names that MCP knows them by: the tool's own with `_` for `-`; where several would have the same, those
/// have their toolkit's before it.
pub(crate) fn of_mcp(kits: &[Kit]) -> BTreeMap<String, (&Kit, &Tool)> {
    let snake = |name: &str| name.replace('-', "_");
    let all = || kits.iter().flat_map(|kit| kit.tools.iter().map(move |tool| (kit, tool)));
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for (_, tool) in all() {
        *count.entry(snake(&tool.name)).or_default() += 1;
    }
    let (alone, several): (Vec<_>, Vec<_>) =
        all().partition(|(_, tool)| count.get(&snake(&tool.name)) == Some(&1));
    let mut names: BTreeMap<_, _> = alone.into_iter().map(|of| (snake(&of.1.name), of)).collect();
    for (kit, tool) in several {
        let whole = format!("{}_{}", snake(&kit.name), snake(&tool.name));
        let mut name = whole.clone();
        for n in 2_u32.. {
            if !names.contains_key(&name) {
                break;
            }
            name = format!("{whole}_{n}");
        }
        names.insert(name, (kit, tool));
    }
    names
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::properties;

    #[test]
    fn names_become_flags() {
        for (name, flag) in [
            ("city", "city"),
            ("maxResults", "max-results"),
            ("HTMLFile", "html-file"),
            ("userID", "user-id"),
            ("snake_case", "snake-case"),
            ("v2Name", "v2-name"),
            ("a", "a"),
            ("ABC", "abc"),
            ("größeXY", "größe-xy"),
            ("", ""),
        ] {
            assert_eq!(kebab(name), flag, "{name}");
        }
    }

    #[test]
    fn flags_mean_one_property_or_none() {
        let schema = json!({"properties": {
            "aB": {}, "a_b": {}, "json": {}, "help": {}, "deep": {"type": "boolean"}, "x": {"type": "boolean"}, "noX": {}, "": {},
        }});
        let properties = properties(&schema);
        let flags: Vec<_> = flags(&properties).into_keys().collect();
        assert_eq!(flags, ["deep", "no-deep", "x"]);
    }

    #[test]
    fn tools_have_one_name_each() {
        let tool = |name: &&str| Tool {
            name: (*name).to_owned(),
            description: String::new(),
            input_schema: json!({}),
            timeout_ms: 1,
        };
        let kit = |name: &str, tools: &[&str]| Kit {
            name: name.to_owned(),
            description: String::new(),
            tools: tools.iter().map(tool).collect(),
        };
        let kits = [
            kit("weather", &["get-weather", "list"]),
            kit("news", &["list", "weather-list"]),
            kit("a-b", &["c"]),
            kit("a", &["b-c", "c"]),
            kit("z", &["b-c"]),
        ];
        let names = of_mcp(&kits);
        let told: Vec<_> =
            names.iter().map(|(name, (kit, tool))| format!("{name}={}:{}", kit.name, tool.name)).collect();
        assert_eq!(
            told,
            [
                "a_b_c=a-b:c",
                "a_b_c_2=a:b-c",
                "a_c=a:c",
                "get_weather=weather:get-weather",
                "news_list=news:list",
                "weather_list=news:weather-list",
                "weather_list_2=weather:list",
                "z_b_c=z:b-c",
            ]
        );
    }
}
