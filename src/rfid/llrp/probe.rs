//! Who a reader is, asked without changing anything of it.

use std::time::Duration;

use super::capabilities::{Capabilities, Found};
use super::connection::Connection;
use super::setup::{found, greeting};
use crate::wire::llrp::commands;

/// What a reader tells of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Maker, model and firmware.
    pub name: String,
    /// Its ports are 1 to this.
    pub antennas: u16,
    /// Those at which it finds an antenna; all where it does not say.
    pub connected: Vec<u16>,
    /// The lowest and the highest power, hundredths of dBm, where it tells them.
    pub power_cdbm: Option<(i16, i16)>,
}

/// For all that is asked.
const PATIENCE: Duration = Duration::from_secs(8);

/// Asks a reader; the error says what to look at.
pub async fn facts(host: &str, port: u16) -> Result<Facts, String> {
    let asking = async {
        let mut connection = Connection::open(host, port).await?;
        greeting(&mut connection).await?;
        let response = connection
            .request(&commands::get_reader_capabilities())
            .await??;
        let found = found(&mut connection).await?;
        let told = Facts::of(&Capabilities::of(&response), &found);
        // A reader that does not let go does so when the connection ends.
        connection.request(&commands::close_connection()).await.ok();
        Ok::<_, super::Failure>(told)
    };
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(Ok(facts)) => Ok(facts),
        Ok(Err(failure)) => Err(failure.to_string()),
        Err(_elapsed) => Err(format!("no answers within {} s", PATIENCE.as_secs())),
    }
}

impl Facts {
    fn of(can: &Capabilities, found: &Found) -> Self {
        let powers = can.powers.iter().map(|(_, cdbm)| *cdbm);
        let ports = 1..=can.antennas;
        Self {
            name: can.name(),
            antennas: can.antennas,
            connected: ports.filter(|id| !found.unconnected.contains(id)).collect(),
            power_cdbm: powers.clone().min().zip(powers.max()),
        }
    }
}
