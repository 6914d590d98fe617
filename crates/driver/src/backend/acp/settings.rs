//! Config options, modes and models of an agent as one list of settings, and the request that changes one. What holds is
//! taken from the agent's answers: agents accept a value and report another. It sends nothing.

use serde_json::{Value, json};

use super::member;
use crate::ErrorInfo;
use crate::error::{MALFORMED, UNSUPPORTED};
use crate::event::{Body, ConfigChoice, ConfigOption};

/// Most settings, and most choices of one, that are kept.
const MAX: usize = 1024;

/// A list with a current value, of the kinds that config options are about to replace.
#[derive(Debug, Default, PartialEq)]
struct Choice {
    current: String,
    choices: Vec<ConfigChoice>,
}

/// What an agent lets be set.
#[derive(Debug, Default)]
pub(super) struct Settings {
    options: Vec<Value>,
    modes: Option<Choice>,
    models: Option<Choice>,
    /// The two as the agent wrote them.
    raw_modes: Option<Value>,
    raw_models: Option<Value>,
}

/// A request that changes a setting.
#[derive(Debug, PartialEq)]
pub(super) struct Change {
    /// The method.
    pub(super) method: &'static str,
    /// Its parameters.
    pub(super) params: Value,
    /// What it is set to.
    pub(super) value: String,
}

fn choices(list: Option<&Value>, id: &str) -> Vec<ConfigChoice> {
    let list = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut all = Vec::new();
    for entry in list {
        if let Some(group) = entry.get("options").and_then(Value::as_array) {
            all.extend(group.iter().filter_map(|entry| choice(entry, id)));
        } else {
            all.extend(choice(entry, id));
        }
        all.truncate(MAX);
    }
    all
}

fn choice(entry: &Value, id: &str) -> Option<ConfigChoice> {
    let value = member::text(entry, id)?.to_owned();
    let name = member::text(entry, "name").unwrap_or(&value).to_owned();
    Some(ConfigChoice { value, name })
}

fn legacy(holder: Option<&Value>, current: &str, list: &str, id: &str) -> Option<Choice> {
    let holder = holder?;
    let current = member::text(holder, current)?.to_owned();
    Some(Choice { current, choices: choices(holder.get(list), id) })
}

fn id(option: &Value) -> Option<&str> {
    member::text(option, "id")
}

impl Settings {
    /// Takes over what the result of opening a session says.
    pub(super) fn adopt(&mut self, result: &Value) {
        self.replace(result);
        self.modes = legacy(result.get("modes"), "currentModeId", "availableModes", "id");
        self.models = legacy(result.get("models"), "currentModelId", "availableModels", "modelId");
        self.raw_modes = result.get("modes").filter(|modes| modes.is_object()).cloned();
        self.raw_models = result.get("models").filter(|models| models.is_object()).cloned();
    }

    /// Takes over `configOptions`, if it is there. Whether it was. A mode or model that is told in both ways is the same.
    pub(super) fn replace(&mut self, holder: &Value) -> bool {
        let Some(options) = holder.get("configOptions").and_then(Value::as_array) else { return false };
        self.options = options.iter().filter(|option| id(option).is_some()).take(MAX).cloned().collect();
        for category in ["mode", "model"] {
            let option = self.category(category).and_then(|option| member::text(option, "currentValue"));
            let Some(value) = option.map(str::to_owned) else { continue };
            let old = if category == "mode" { &mut self.modes } else { &mut self.models };
            if let Some(old) = old.as_mut().filter(|old| old.choices.iter().any(|one| one.value == value)) {
                old.current = value;
            }
        }
        true
    }

    /// The agent has changed its mode.
    pub(super) fn mode(&mut self, mode: &str) {
        mode.clone_into(&mut self.modes.get_or_insert_default().current);
        self.option_follows("mode", mode);
    }

    /// The option that says the same as the list of modes or models has this value now, if it offers it.
    fn option_follows(&mut self, category: &str, value: &str) {
        let of_category = |option: &&mut Value| member::text(option, "category") == Some(category);
        let Some(option) = self.options.iter_mut().find(of_category) else { return };
        if choices(option.get("options"), "value").iter().any(|choice| choice.value == value) {
            option["currentValue"] = value.into();
        }
    }

    /// Modes, models and options in the agent's own words, as they are now.
    pub(super) fn raw(&self) -> (Option<Value>, Option<Value>, &[Value]) {
        let now = |raw: &Option<Value>, choice: &Option<Choice>, current: &str| {
            let mut raw = raw.clone()?;
            if let Some(choice) = choice {
                raw[current] = choice.current.clone().into();
            }
            Some(raw)
        };
        let modes = now(&self.raw_modes, &self.modes, "currentModeId");
        (modes, now(&self.raw_models, &self.models, "currentModelId"), &self.options)
    }

    fn category(&self, category: &str) -> Option<&Value> {
        self.options.iter().find(|option| member::text(option, "category") == Some(category))
    }

    fn option(&self, name: &str) -> Option<&Value> {
        self.options.iter().find(|option| id(option) == Some(name)).or_else(|| self.category(name))
    }

    /// The model in use, if the agent says.
    pub(super) fn model(&self) -> Option<String> {
        let option = self.category("model").and_then(|option| member::text(option, "currentValue"));
        option.map(str::to_owned).or_else(|| self.models.as_ref().map(|models| models.current.clone()))
    }

    /// All settings, as an event; nothing if there are none.
    pub(super) fn body(&self) -> Option<Body> {
        let mut options: Vec<ConfigOption> = self
            .options
            .iter()
            .filter_map(|option| {
                let id = id(option)?.to_owned();
                let name = member::text(option, "name").unwrap_or(&id).to_owned();
                let value = option.get("currentValue").cloned().unwrap_or_default();
                let choices =
                    option.get("options").is_some().then(|| choices(option.get("options"), "value"));
                Some(ConfigOption { id, name, value, choices })
            })
            .collect();
        for (id, name, old) in [("mode", "Mode", &self.modes), ("model", "Model", &self.models)] {
            if let Some(old) = old.as_ref().filter(|_| self.option(id).is_none()) {
                options.push(ConfigOption {
                    id: id.to_owned(),
                    name: name.to_owned(),
                    value: old.current.clone().into(),
                    choices: Some(old.choices.clone()),
                });
            }
        }
        let mode_id = self.modes.as_ref().map(|modes| modes.current.clone());
        (!options.is_empty() || mode_id.is_some()).then_some(Body::SessionConfigUpdated { options, mode_id })
    }

    /// The request that sets `name`, which is the id or the category of an option, `mode` or `model`.
    ///
    /// # Errors
    /// The agent has no such setting, or the value is neither a string nor a boolean.
    pub(super) fn change(&self, session_id: &str, name: &str, value: &Value) -> Result<Change, ErrorInfo> {
        let wrong =
            || ErrorInfo::new(MALFORMED, format!("the value of {name} is neither a string nor a boolean"));
        if let Some(option) = self.option(name).and_then(id) {
            let mut params = json!({"sessionId": session_id, "configId": option, "value": value});
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Bool(_) => {
                    params["type"] = "boolean".into();
                    String::new()
                }
                _ => return Err(wrong()),
            };
            return Ok(Change { method: "session/set_config_option", params, value: text });
        }
        let text = value.as_str().ok_or_else(wrong)?.to_owned();
        let (method, member) = match name {
            "mode" if self.modes.is_some() => ("session/set_mode", "modeId"),
            "model" if self.models.is_some() => ("session/set_model", "modelId"),
            _ => return Err(ErrorInfo::new(UNSUPPORTED, format!("the agent has no setting {name}"))),
        };
        Ok(Change { method, params: json!({"sessionId": session_id, member: text}), value: text })
    }

    /// A request of this method was answered.
    pub(super) fn changed(&mut self, method: &str, value: &str, answer: &Value) {
        let (current, category) = match method {
            "session/set_mode" => (self.modes.as_mut(), "mode"),
            "session/set_model" => (self.models.as_mut(), "model"),
            _ => {
                self.replace(answer);
                return;
            }
        };
        if let Some(choice) = current {
            value.clone_into(&mut choice.current);
            self.option_follows(category, value);
        }
    }

    /// The value that stands for a wanted model: the same, or the one that ends with it after a slash. Nothing if it is not
    /// offered; `Err` if it is in use already.
    pub(super) fn offered_model(&self, wanted: &str) -> Option<Result<String, ()>> {
        let offered = match (self.category("model"), &self.models) {
            (Some(option), _) => choices(option.get("options"), "value"),
            (None, Some(models)) => models.choices.clone(),
            (None, None) => return None,
        };
        let ends = |value: &str| value.rsplit_once('/').is_some_and(|(_, model)| model == wanted);
        let found = offered.iter().find(|choice| choice.value == wanted);
        let value = found.or_else(|| offered.iter().find(|choice| ends(&choice.value)))?.value.clone();
        Some(if self.model().as_deref() == Some(&value) { Err(()) } else { Ok(value) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(result: Value) -> Settings {
        let mut settings = Settings::default();
        settings.adopt(&result);
        settings
    }

    #[test]
    fn modes_and_models_are_settings_where_no_option_stands_for_them() {
        let mut old = settings(json!({
            "modes": {"currentModeId": "off", "availableModes": [{"id": "off", "name": "Off"}, {"id": "high"}, 7]},
            "models": {"currentModelId": "p/a", "availableModels": [{"modelId": "p/a"}, {"modelId": "p/b", "name": "B"}]},
        }));
        let Some(Body::SessionConfigUpdated { options, mode_id }) = old.body() else { panic!() };
        assert_eq!(options.iter().map(|o| o.id.as_str()).collect::<Vec<_>>(), ["mode", "model"]);
        assert_eq!((options[0].choices.as_ref().unwrap().len(), mode_id.as_deref()), (2, Some("off")));
        let change = old.change("s", "mode", &json!("high")).unwrap();
        assert_eq!(change.method, "session/set_mode");
        assert_eq!(change.params, json!({"sessionId": "s", "modeId": "high"}));
        old.changed(change.method, &change.value, &json!({}));
        let model = old.change("s", "model", &json!("p/b")).unwrap();
        assert_eq!((model.method, &model.params["modelId"]), ("session/set_model", &json!("p/b")));
        assert_eq!(
            (old.model().as_deref(), old.offered_model("b")),
            (Some("p/a"), Some(Ok("p/b".to_owned())))
        );
        assert_eq!((old.offered_model("a"), old.offered_model("c")), (Some(Err(())), None));
        assert_eq!(old.change("s", "other", &json!("x")).unwrap_err().code, UNSUPPORTED);
        assert_eq!(old.change("s", "mode", &json!(7)).unwrap_err().code, MALFORMED);
    }

    #[test]
    fn what_holds_is_what_the_agent_answers() {
        let option = |value: &str| {
            json!({"id": "m", "category": "model", "type": "select", "name": "M", "currentValue": value,
                "options": [{"group": "g", "name": "G", "options": [{"value": "a", "name": "A"}, {"value": "b"}]}]})
        };
        let mut new = settings(
            json!({"configOptions": [option("a"), {"id": "fast", "type": "boolean", "currentValue": false}, 3],
            "models": {"currentModelId": "z"}}),
        );
        assert_eq!(new.model().as_deref(), Some("a"));
        let change = new.change("s", "model", &json!("b")).unwrap();
        assert_eq!(change.params, json!({"sessionId": "s", "configId": "m", "value": "b"}));
        new.changed(change.method, &change.value, &json!({"configOptions": [option("a")]}));
        assert_eq!(new.model().as_deref(), Some("a"));
        let Some(Body::SessionConfigUpdated { options, .. }) = new.body() else { panic!() };
        assert_eq!((options.len(), options[0].choices.as_ref().unwrap().len()), (1, 2));
        let fast =
            settings(json!({"configOptions": [{"id": "fast"}]})).change("s", "fast", &json!(true)).unwrap();
        assert_eq!(
            fast.params,
            json!({"sessionId": "s", "configId": "fast", "value": true, "type": "boolean"})
        );
    }

    #[test]
    fn a_mode_that_is_told_in_both_ways_is_the_same_in_both() {
        let option = |value: &str| {
            json!({"id": "m", "category": "mode", "name": "M", "currentValue": value,
                "options": [{"value": "ask", "name": "A"}, {"value": "plan", "name": "P"}]})
        };
        let mut both = settings(json!({
            "modes": {"currentModeId": "ask", "availableModes": [{"id": "ask", "name": "A"}, {"id": "plan", "name": "P"}]},
            "configOptions": [option("ask")],
        }));
        let told = |settings: &Settings| {
            let (modes, _, options) = settings.raw();
            (modes.unwrap()["currentModeId"].clone(), options[0]["currentValue"].clone())
        };
        both.changed("session/set_config_option", "plan", &json!({"configOptions": [option("plan")]}));
        assert_eq!(told(&both), (json!("plan"), json!("plan")));
        both.changed("session/set_mode", "ask", &json!({}));
        assert_eq!(told(&both), (json!("ask"), json!("ask")));
        both.mode("plan");
        assert_eq!(told(&both), (json!("plan"), json!("plan")));
        // What only one of the two knows is not said by the other.
        both.mode("other");
        assert_eq!(told(&both), (json!("other"), json!("plan")));
    }

    #[test]
    fn an_agent_without_settings_has_none() {
        for result in [json!(null), json!([]), json!({"modes": 3, "models": {}, "configOptions": {}})] {
            assert_eq!(settings(result).body(), None);
        }
    }
}
