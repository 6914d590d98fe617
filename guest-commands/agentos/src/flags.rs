//! From a command line to the input of a tool. Whether it fits the schema is for the host to say; here is refused what no
//! input can be made of.

use serde_json::{Map, Number, Value};

use crate::names;
use crate::schema::{Kind, Property};

/// What a command line asks for.
#[derive(Debug, PartialEq)]
pub(crate) enum Wish {
    /// How the tool is used.
    Help,
    /// Its input.
    Input(Value),
    /// Its input is the JSON of this file; `-` is standard input.
    File(String),
}

/// Reads the arguments of a tool.
pub(crate) fn parse(properties: &[Property], arguments: &[String]) -> Result<Wish, String> {
    let flags = names::flags(properties);
    let mut input = Map::new();
    let mut whole = None;
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--help" || argument == "-h" {
            return Ok(Wish::Help);
        }
        let Some(flag) = argument.strip_prefix("--") else {
            return Err(format!("{argument:?}: arguments are flags; see --help"));
        };
        let (name, joined) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (flag, None),
        };
        let mut value = || match joined {
            Some(value) => Ok(value.to_owned()),
            None => rest.next().cloned().ok_or_else(|| format!("--{name} needs a value")),
        };
        if name == "json" || name == "json-file" {
            let value = value()?;
            let wish = match name {
                "json" => Wish::Input(
                    serde_json::from_str(&value).map_err(|error| format!("--json is no JSON: {error}"))?,
                ),
                _ => Wish::File(value),
            };
            if whole.replace(wish).is_some() {
                return Err("--json and --json-file: the whole input is given twice".to_owned());
            }
            continue;
        }
        let (property, set) = flags
            .get(name)
            .and_then(|(at, set)| Some((properties.get(*at)?, *set)))
            .ok_or_else(|| unknown(name, flags.keys()))?;
        let key = &property.name;
        let twice = || format!("--{name}: {key} is given twice");
        match &property.kind {
            Kind::Boolean => {
                let said = match joined {
                    None | Some("true") => true,
                    Some("false") => false,
                    Some(other) => return Err(format!("--{name}: {other:?} is neither true nor false")),
                };
                if input.insert(key.clone(), Value::Bool(said == set)).is_some() {
                    return Err(twice());
                }
            }
            Kind::List(item) => {
                let one = read(item, &value()?).map_err(|why| format!("--{name}: {why}"))?;
                if let Value::Array(list) =
                    input.entry(key.clone()).or_insert_with(|| Value::Array(Vec::new()))
                {
                    list.push(one);
                }
            }
            kind => {
                let one = read(kind, &value()?).map_err(|why| format!("--{name}: {why}"))?;
                if input.insert(key.clone(), one).is_some() {
                    return Err(twice());
                }
            }
        }
    }
    match whole {
        Some(_) if !input.is_empty() => {
            Err("the input comes from --json or --json-file, or from flags, not from both".to_owned())
        }
        Some(wish) => Ok(wish),
        None => {
            let missing = |p: &&Property| p.required && !input.contains_key(&p.name);
            match properties.iter().find(missing) {
                Some(property) => Err(format!("{} is required", written(property, &flags))),
                None => Ok(Wish::Input(Value::Object(input))),
            }
        }
    }
}

/// How a property is given.
fn written(property: &Property, flags: &std::collections::BTreeMap<String, (usize, bool)>) -> String {
    let name = names::kebab(&property.name);
    match flags.contains_key(&name) {
        true => format!("--{name}"),
        false => format!("{} (only by --json)", property.name),
    }
}

fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> String {
    let known: Vec<String> = known.map(|name| format!("--{name}")).collect();
    match known.is_empty() {
        true => format!("there is no --{name}: the input is given by --json or --json-file"),
        false => format!("there is no --{name}; there are {}, --json, --json-file", known.join(", ")),
    }
}

/// Reads one value.
fn read(kind: &Kind, text: &str) -> Result<Value, String> {
    match kind {
        Kind::Text => Ok(text.into()),
        Kind::Integer => {
            let whole =
                text.parse::<i64>().map(Number::from).or_else(|_| text.parse::<u64>().map(Number::from));
            whole.map(Value::Number).map_err(|_| format!("{text:?} is no integer"))
        }
        Kind::Number => {
            if let Ok(whole) = text.parse::<i64>() {
                return Ok(whole.into());
            }
            let number = text.parse::<f64>().ok().and_then(Number::from_f64);
            number.map(Value::Number).ok_or_else(|| format!("{text:?} is no number"))
        }
        Kind::Boolean => {
            text.parse().map(Value::Bool).map_err(|_| format!("{text:?} is neither true nor false"))
        }
        Kind::Choice(all) => {
            let is = |choice: &&Value| shown(choice) == text;
            all.iter().find(is).cloned().ok_or_else(|| {
                let all: Vec<String> = all.iter().map(shown).collect();
                format!("{text:?} is none of {}", all.join(", "))
            })
        }
        Kind::Json | Kind::List(_) => {
            serde_json::from_str(text).map_err(|error| format!("{text:?} is no JSON: {error}"))
        }
        Kind::Any => Ok(serde_json::from_str(text).unwrap_or_else(|_| text.into())),
    }
}

/// A value as it is typed.
pub(crate) fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::properties;

    fn parsed(line: &[&str]) -> Result<Wish, String> {
        let schema = json!({
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "maxResults": {"type": "integer"},
                "scale": {"type": "number"},
                "metric": {"type": "boolean"},
                "tags": {"type": "array", "items": {"type": "string"}},
                "sizes": {"type": "array", "items": {"type": "integer"}},
                "unit": {"enum": ["c", "f", 1]},
                "filter": {"type": "object"},
                "extra": {},
                "json": {"type": "string"},
            },
            "required": ["city"],
        });
        let line: Vec<String> = line.iter().map(|word| (*word).to_owned()).collect();
        parse(&properties(&schema), &line)
    }

    #[test]
    fn lines_become_inputs() {
        for (line, want) in [
            (&["--city", "Paris"][..], json!({"city": "Paris"})),
            (&["--city=a=b"], json!({"city": "a=b"})),
            (&["--city", "--metric"], json!({"city": "--metric"})),
            (&["--city", "1"], json!({"city": "1"})),
            (&["--city", ""], json!({"city": ""})),
            (&["--city=x", "--max-results", "-5"], json!({"city": "x", "maxResults": -5})),
            (
                &["--city=x", "--max-results=18446744073709551615"],
                json!({"city": "x", "maxResults": u64::MAX}),
            ),
            (&["--city=x", "--scale", "1.5e3"], json!({"city": "x", "scale": 1500.0})),
            (&["--city=x", "--scale", "3"], json!({"city": "x", "scale": 3})),
            (&["--city=x", "--metric"], json!({"city": "x", "metric": true})),
            (&["--city=x", "--no-metric"], json!({"city": "x", "metric": false})),
            (&["--city=x", "--metric=false"], json!({"city": "x", "metric": false})),
            (&["--city=x", "--no-metric=false"], json!({"city": "x", "metric": true})),
            (&["--tags", "a", "--city=x", "--tags=b"], json!({"city": "x", "tags": ["a", "b"]})),
            (&["--city=x", "--sizes", "1", "--sizes", "2"], json!({"city": "x", "sizes": [1, 2]})),
            (&["--city=x", "--unit", "f"], json!({"city": "x", "unit": "f"})),
            (&["--city=x", "--unit", "1"], json!({"city": "x", "unit": 1})),
            (&["--city=x", "--filter", r#"{"a":[1]}"#], json!({"city": "x", "filter": {"a": [1]}})),
            (&["--city=x", "--extra", "[1]"], json!({"city": "x", "extra": [1]})),
            (&["--city=x", "--extra", "word"], json!({"city": "x", "extra": "word"})),
            (&["--json", r#"{"any": 1}"#], json!({"any": 1})),
            (&["--json=[]"], json!([])),
        ] {
            assert_eq!(parsed(line), Ok(Wish::Input(want)), "{line:?}");
        }
        assert_eq!(parsed(&["--json-file", "-"]), Ok(Wish::File("-".to_owned())));
        assert_eq!(
            parsed(&["--nonsense", "--help"]).unwrap_err().split(';').next(),
            Some("there is no --nonsense")
        );
        assert_eq!(parsed(&["--metric", "--help"]), Ok(Wish::Help));
        assert_eq!(parsed(&["-h"]), Ok(Wish::Help));
    }

    #[test]
    fn what_no_input_can_be_made_of_is_refused_with_the_reason() {
        for (line, want) in [
            (&[][..], "--city is required"),
            (&["--city"], "--city needs a value"),
            (&["Paris"], "arguments are flags"),
            (&["--city=x", "--city=y"], "city is given twice"),
            (&["--city=x", "--metric", "--no-metric"], "metric is given twice"),
            (&["--city=x", "--metric=yes"], "neither true nor false"),
            (&["--city=x", "--max-results=1.5"], "\"1.5\" is no integer"),
            (&["--city=x", "--scale=NaN"], "\"NaN\" is no number"),
            (&["--city=x", "--scale=1e999"], "is no number"),
            (&["--city=x", "--sizes=a"], "--sizes: \"a\" is no integer"),
            (&["--city=x", "--unit=k"], "\"k\" is none of c, f, 1"),
            (&["--city=x", "--filter={"], "is no JSON"),
            (&["--json={"], "--json is no JSON"),
            (&["--json={}", "--json-file=x"], "given twice"),
            (&["--json={}", "--city=x"], "not from both"),
            (&["--maxResults=1"], "there is no --maxResults; there are --city,"),
        ] {
            let error = parsed(line).unwrap_err();
            assert!(error.contains(want), "{line:?}: {error}");
        }
        assert!(parse(&[], &["--x".to_owned()]).unwrap_err().contains("--json"));
    }
}
