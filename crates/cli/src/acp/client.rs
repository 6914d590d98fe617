//! What the editor says that it can, and what of an agent's messages it therefore does not get.

use serde_json::{Map, Value};

/// The editor's capabilities, as far as messages of agents depend on them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Client {
    booleans: bool,
    notices: bool,
    compaction: bool,
    reads_files: bool,
    writes_files: bool,
}

fn is_there(value: Option<&Value>) -> bool {
    value.is_some_and(Value::is_object)
}

impl Client {
    /// Reads the parameters of `initialize`.
    pub(super) fn of(params: &Map<String, Value>) -> Self {
        let session = params.get("clientCapabilities").and_then(|can| can.get("session"));
        let files = params.get("clientCapabilities").and_then(|can| can.get("fs"));
        let can = |name: &str| files.and_then(|files| files.get(name)).and_then(Value::as_bool) == Some(true);
        let of = |name: &str| session.and_then(|session| session.get(name));
        Client {
            booleans: is_there(of("configOptions").and_then(|options| options.get("boolean"))),
            notices: is_there(of("notices")),
            compaction: is_there(of("compaction")),
            reads_files: can("readTextFile"),
            writes_files: can("writeTextFile"),
        }
    }

    /// Whether it reads texts for agents, and whether it writes them.
    pub(super) fn files(self) -> (bool, bool) {
        (self.reads_files, self.writes_files)
    }

    /// Whether it is to get an update of this kind.
    pub(super) fn takes(self, kind: &str) -> bool {
        match kind {
            "notice" => self.notices,
            "compaction_update" | "compaction_summary_chunk" => self.compaction,
            _ => true,
        }
    }

    /// Takes out of `configOptions` those of a type that it does not know.
    pub(super) fn fit(self, holder: &mut Map<String, Value>) {
        if let Some(Value::Array(options)) = holder.get_mut("configOptions")
            && !self.booleans
        {
            options.retain(|option| option.get("type").and_then(Value::as_str) != Some("boolean"));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_advertised_is_sent() {
        let of = |can: Value| Client::of(json!({ "clientCapabilities": can }).as_object().unwrap());
        let none = of(json!({"session": {"notices": null, "configOptions": {}}}));
        assert_eq!(none, Client::default());
        let all = of(json!({"session": {"notices": {}, "compaction": {}, "configOptions": {"boolean": {}}}}));
        assert!(all.takes("notice") && all.takes("compaction_update") && !none.takes("notice"));
        assert!(none.takes("agent_message_chunk") && none.takes("of_tomorrow"));
        let files = of(json!({"fs": {"readTextFile": true, "writeTextFile": "yes"}}));
        assert_eq!((files.files(), none.files()), ((true, false), (false, false)));
        let options =
            json!({"configOptions": [{"id": "a", "type": "select"}, {"id": "b", "type": "boolean"}]});
        let mut kept = options.as_object().unwrap().clone();
        all.fit(&mut kept);
        assert_eq!(kept["configOptions"].as_array().unwrap().len(), 2);
        none.fit(&mut kept);
        assert_eq!(kept["configOptions"], json!([{"id": "a", "type": "select"}]));
    }
}
