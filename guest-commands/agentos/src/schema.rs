//! What of a JSON schema command lines need: the properties of an object, and what kind of value each takes. It validates
//! nothing: the host does.

use serde_json::{Map, Value};

/// References followed from one place; more is a circle.
const REFERENCES: usize = 16;

/// What a property takes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Text,
    Integer,
    Number,
    Boolean,
    /// One of these values.
    Choice(Vec<Value>),
    /// Any number of these.
    List(Box<Kind>),
    /// A value that only JSON can write.
    Json,
    /// JSON, or else text.
    Any,
}

/// A property of an input.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Property {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) required: bool,
    pub(crate) description: String,
    pub(crate) default: Option<Value>,
}

/// The properties of an input, in the order of the schema.
pub(crate) fn properties(schema: &Value) -> Vec<Property> {
    let top = resolved(schema, schema);
    let Some(Value::Object(all)) = top.get("properties") else { return Vec::new() };
    let required: Vec<&str> = top
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let property = |(name, given): (&String, &Value)| {
        let of = resolved(schema, given);
        let text = |value: &Value| Some(value.get("description")?.as_str()?.to_owned());
        Property {
            name: name.clone(),
            kind: kind(schema, of, 0),
            required: required.contains(&name.as_str()),
            description: text(given).or_else(|| text(of)).unwrap_or_default(),
            default: given.get("default").or_else(|| of.get("default")).cloned(),
        }
    };
    all.iter().map(property).collect()
}

/// What a reference within the document leads to; a schema without one is itself.
fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let mut at = schema;
    for _ in 0..REFERENCES {
        let Some(to) = at.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix('#')) else {
            break;
        };
        match root.pointer(to) {
            Some(found) => at = found,
            None => break,
        }
    }
    at
}

fn kind(root: &Value, schema: &Value, depth: usize) -> Kind {
    let Value::Object(of) = schema else { return Kind::Any };
    if let Some(choices) = choices(of) {
        return Kind::Choice(choices);
    }
    match type_of(of) {
        Some("string") => Kind::Text,
        Some("integer") => Kind::Integer,
        Some("number") => Kind::Number,
        Some("boolean") => Kind::Boolean,
        Some("object") => Kind::Json,
        Some("array") => {
            let item = of.get("items").map(|items| resolved(root, items));
            Kind::List(Box::new(match item {
                // A list of lists has no flags: each item is JSON.
                Some(item) if depth == 0 => match kind(root, item, 1) {
                    Kind::List(_) => Kind::Json,
                    kind => kind,
                },
                _ => Kind::Any,
            }))
        }
        _ => Kind::Any,
    }
}

fn choices(of: &Map<String, Value>) -> Option<Vec<Value>> {
    match (of.get("enum"), of.get("const")) {
        (Some(Value::Array(all)), _) if !all.is_empty() => Some(all.clone()),
        (_, Some(one)) => Some(vec![one.clone()]),
        _ => None,
    }
}

/// The one type beside null.
fn type_of(of: &Map<String, Value>) -> Option<&str> {
    match of.get("type")? {
        Value::String(name) => Some(name),
        Value::Array(all) => {
            let mut names = all.iter().filter_map(Value::as_str).filter(|name| *name != "null");
            names.next().filter(|_| names.next().is_none())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn kinds_are_read_from_schemas() {
        let list = |kind: Kind| Kind::List(Box::new(kind));
        for (schema, want) in [
            (json!({"type": "string"}), Kind::Text),
            (json!({"type": ["null", "integer"]}), Kind::Integer),
            (json!({"type": ["string", "integer"]}), Kind::Any),
            (json!({"type": "number"}), Kind::Number),
            (json!({"type": "boolean"}), Kind::Boolean),
            (json!({"type": "object"}), Kind::Json),
            (json!({"enum": ["a", 1]}), Kind::Choice(vec![json!("a"), json!(1)])),
            (json!({"const": true}), Kind::Choice(vec![json!(true)])),
            (json!({"type": "array"}), list(Kind::Any)),
            (json!({"type": "array", "items": {"type": "integer"}}), list(Kind::Integer)),
            (json!({"type": "array", "items": {"type": "array"}}), list(Kind::Json)),
            (json!({"$ref": "#/$defs/unit"}), Kind::Choice(vec![json!("c"), json!("f")])),
            (json!({"$ref": "#/$defs/circle"}), Kind::Any),
            (json!({"$ref": "#/nowhere"}), Kind::Any),
            (json!({}), Kind::Any),
            (json!(true), Kind::Any),
        ] {
            let whole = json!({
                "properties": {"x": schema},
                "$defs": {"unit": {"enum": ["c", "f"]}, "circle": {"$ref": "#/$defs/circle"}},
            });
            assert_eq!(properties(&whole)[0].kind, want, "{whole}");
        }
    }

    #[test]
    fn what_is_no_object_has_no_properties() {
        for schema in [json!(true), json!({}), json!({"properties": []}), json!({"type": "string"})] {
            assert!(properties(&schema).is_empty());
        }
        let schema = json!({
            "$ref": "#/$defs/in",
            "$defs": {"in": {"properties": {"a": {"description": "first", "default": 1}}, "required": ["a", 2]}},
        });
        let all = properties(&schema);
        assert_eq!((all[0].required, all[0].description.as_str()), (true, "first"));
        assert_eq!(all[0].default, Some(json!(1)));
    }
}
