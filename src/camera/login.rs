//! A camera's question for a password, answered (RFC 7617, RFC 7616), once for each question: a
//! camera that refuses an answer is not asked again soon.

use http_auth::{PasswordClient, PasswordParams};

use crate::link::secret::Secret;

pub(super) struct Login {
    user: String,
    password: Secret,
    client: Option<PasswordClient>,
}

impl Login {
    pub(super) fn new(user: String, password: Secret) -> Self {
        Self {
            user,
            password,
            client: None,
        }
    }

    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// Takes the camera's question (WWW-Authenticate). The error says what the camera asked.
    pub(super) fn asked(&mut self, question: &str) -> Result<(), String> {
        let client = PasswordClient::try_from(question).map_err(|error| {
            let scheme = question.split_whitespace().next().unwrap_or("nothing");
            format!("the camera asks for a login of the kind `{scheme}` ({error}); basic and digest are known")
        })?;
        self.client = Some(client);
        Ok(())
    }

    /// The Authorization of a GET of this path, once the camera has asked.
    pub(super) fn answer(&mut self, path: &str) -> Option<Result<String, String>> {
        let client = self.client.as_mut()?;
        Some(client.respond(&PasswordParams {
            username: &self.user,
            password: self.password.reveal(),
            uri: path,
            method: "GET",
            body: Some(&[]),
        }))
    }
}
