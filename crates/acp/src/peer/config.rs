//! Modes, config options and models. State is taken from the agent's answers, never assumed: agents accept a value
//! and report another.

use serde_json::json;

use super::{AgentPeer, session::Session};
use crate::{
    Error,
    event::{Direction, Draft, EventKind},
    schema::{
        SessionConfigKind, SessionConfigOption, SessionConfigOptionCategory, SessionConfigOptionValue,
        SetSessionConfigOptionRequest, SetSessionConfigOptionResponse, SetSessionModeRequest,
    },
};

impl AgentPeer {
    /// Sets the mode: `session/set_mode`, or the config option of category `mode` where the agent only has that.
    ///
    /// # Errors
    /// [`Error::NotSupported`] if it has neither; the agent's error for an unknown mode.
    pub async fn set_mode(&self, session_id: &str, mode_id: &str) -> Result<(), Error> {
        let session = self.known(session_id)?;
        if session.state.lock().view.modes.is_none() {
            return self
                .set_category(session_id, &SessionConfigOptionCategory::Mode, mode_id, "session modes")
                .await;
        }
        let request = SetSessionModeRequest::new(session_id.to_owned(), mode_id.to_owned());
        self.request("session/set_mode", None, &request).await?;
        if let Some(modes) = &mut session.state.lock().view.modes {
            modes.current_mode_id = mode_id.to_owned().into();
        }
        configured(&session, "session/set_mode", &request);
        Ok(())
    }

    /// Sets a config option and returns the agent's complete list, which may differ from what was asked.
    ///
    /// # Errors
    /// The agent's error for an unknown option or value.
    pub async fn set_config_option(
        &self,
        session_id: &str,
        config_id: &str,
        value: SessionConfigOptionValue,
    ) -> Result<Vec<SessionConfigOption>, Error> {
        const METHOD: &str = "session/set_config_option";
        let session = self.known(session_id)?;
        let request = SetSessionConfigOptionRequest::new(session_id.to_owned(), config_id.to_owned(), value);
        let raw = self.request(METHOD, None, &request).await?;
        let response: SetSessionConfigOptionResponse = self.decode(METHOD, &raw)?;
        session.state.lock().view.config_options.clone_from(&response.config_options);
        configured(&session, METHOD, &request);
        Ok(response.config_options)
    }

    /// Sets the model: the config option of category `model`, else the legacy `session/set_model`.
    ///
    /// # Errors
    /// [`Error::NotSupported`] if the agent has neither.
    pub async fn set_model(&self, session_id: &str, model_id: &str) -> Result<(), Error> {
        const METHOD: &str = "session/set_model";
        let session = self.known(session_id)?;
        let legacy = {
            let state = session.state.lock();
            state.view.models.is_some()
                && category(&state.view.config_options, &SessionConfigOptionCategory::Model).is_none()
        };
        if !legacy {
            return self
                .set_category(session_id, &SessionConfigOptionCategory::Model, model_id, "a choice of models")
                .await;
        }
        let params = json!({"sessionId": session_id, "modelId": model_id});
        self.request(METHOD, None, &params).await?;
        if let Some(models) = &mut session.state.lock().view.models {
            model_id.clone_into(&mut models.current_model_id);
        }
        configured(&session, METHOD, &params);
        Ok(())
    }

    /// Sets how much the model thinks: the config option of category `thought_level`, else a mode of that id, since
    /// some agents list their thinking levels as modes.
    ///
    /// # Errors
    /// [`Error::NotSupported`] if the agent has neither.
    pub async fn set_thought_level(&self, session_id: &str, level: &str) -> Result<(), Error> {
        let as_mode = {
            let session = self.known(session_id)?;
            let state = session.state.lock();
            category(&state.view.config_options, &SessionConfigOptionCategory::ThoughtLevel).is_none()
                && state
                    .view
                    .modes
                    .as_ref()
                    .is_some_and(|m| m.available_modes.iter().any(|mode| *mode.id.0 == *level))
        };
        if as_mode {
            return self.set_mode(session_id, level).await;
        }
        self.set_category(session_id, &SessionConfigOptionCategory::ThoughtLevel, level, "thought levels")
            .await
    }

    async fn set_category(
        &self,
        session_id: &str,
        wanted: &SessionConfigOptionCategory,
        value: &str,
        what: &str,
    ) -> Result<(), Error> {
        let id = {
            let session = self.known(session_id)?;
            let state = session.state.lock();
            category(&state.view.config_options, wanted).map(|option| option.id.to_string())
        };
        let id = id.ok_or_else(|| Error::NotSupported { what: what.to_owned() })?;
        let value = SessionConfigOptionValue::ValueId { value: value.to_owned().into() };
        self.set_config_option(session_id, &id, value).await.map(drop)
    }
}

/// The select option of a category.
fn category<'a>(
    options: &'a [SessionConfigOption],
    wanted: &SessionConfigOptionCategory,
) -> Option<&'a SessionConfigOption> {
    options.iter().find(|option| {
        option.category.as_ref() == Some(wanted) && matches!(option.kind, SessionConfigKind::Select(_))
    })
}

fn configured(session: &Session, method: &str, params: &impl serde::Serialize) {
    session.log.publish_now(Draft::of(Direction::ToAgent, method, params, EventKind::Configured));
}
