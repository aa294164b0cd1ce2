//! How a broker is reached: from a store file's `[mqtt]`, or from a command line.

use std::path::Path;

use anyhow::Context as _;

use crate::link::mqtt::{Message, Options, Tls};
use crate::link::secret;
use crate::store::{Confirm, Mqtt};

/// The options of a connection as `client_id`; secrets are read relative to `folder`, or are
/// systemd credentials of their names.
pub(super) fn options(mqtt: &Mqtt, folder: &Path, client_id: &str) -> anyhow::Result<Options> {
    let read = |name: &String| secret::read(folder, name).map_err(anyhow::Error::msg);
    let password = mqtt.password_file.as_ref();
    let password = password.map(|name| secret::password(folder, name));
    let password = password.transpose().map_err(anyhow::Error::msg)?;
    let login = mqtt.username.clone().map(|username| {
        let password = password.unwrap_or_else(|| secret::Secret::new(""));
        (username, password)
    });
    let tls = if mqtt.tls {
        let ca = mqtt.ca_file.as_ref().map(read).transpose()?;
        let chain = mqtt.cert_file.as_ref().map(read).transpose()?;
        let key = mqtt.key_file.as_ref().map(read).transpose()?;
        let client = chain.as_deref().zip(key.as_deref());
        let tls = Tls::new(ca.as_deref(), client).map_err(anyhow::Error::msg);
        Some(tls.context("[mqtt]")?)
    } else {
        None
    };
    Ok(Options {
        host: mqtt.host.clone(),
        port: mqtt.port,
        client_id: client_id.to_owned(),
        login,
        tls,
        will: None,
        session_s: None,
    })
}

/// A will that stays for whoever subscribes later.
pub(super) fn will(topic: String, text: String) -> Message {
    let mut message = Message::new(topic, text);
    message.retained = true;
    message.content_type = Some("application/json");
    message
}

/// The command line's way to name a broker.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// mqtt://host[:port] or mqtts://host[:port].
    #[arg(long)]
    url: String,
    #[arg(long)]
    username: Option<String>,
    /// A file whose first line is the password.
    #[arg(long)]
    password_file: Option<String>,
    /// Authorities that are trusted, in PEM; the system's where it is left out.
    #[arg(long)]
    ca_file: Option<String>,
    #[arg(long, requires = "key_file")]
    cert_file: Option<String>,
    #[arg(long, requires = "cert_file")]
    key_file: Option<String>,
}

impl Args {
    pub(super) fn options(&self, client_id: &str) -> anyhow::Result<Options> {
        let (tls, host, port) = crate::store::file::broker(&self.url).with_context(|| {
            let shown = self.url.split('@').next_back().unwrap_or("");
            format!("`--url {shown}`: expected mqtt://<host>[:<port>] or mqtts://<host>[:<port>]")
        })?;
        let mqtt = Mqtt {
            host,
            port,
            tls,
            username: self.username.clone(),
            password_file: self.password_file.clone(),
            ca_file: self.ca_file.clone(),
            cert_file: self.cert_file.clone(),
            key_file: self.key_file.clone(),
            confirm: Confirm::default(),
        };
        options(&mqtt, Path::new(""), client_id)
    }
}
