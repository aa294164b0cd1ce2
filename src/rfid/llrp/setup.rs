//! From a fresh connection to a ROSpec that runs, and back: every answer's status is looked at, and
//! a reader that refuses a detail gets the rest.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::timeout;

use super::Config;
use super::capabilities::{Capabilities, Found};
use super::connection::{Connection, READER_EVENT_NOTIFICATION, Refusal};
use super::events::{self, Event};
use super::failure::Failure;
use super::plan::{self, Plan, list};
use crate::wire::llrp::{Draft, Message, Version, commands};

/// A reader says at once whether it takes the connection (LLRP 1.0.1 clause 13.2.6.11).
const GREETING: Duration = Duration::from_secs(5);
/// For all that is said when taking leave.
const LEAVE: Duration = Duration::from_secs(2);

/// A reader that reads.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) plan: Plan,
    /// kHz by ChannelIndex - 1.
    pub(super) channels: Vec<u32>,
    pub(super) keepalive: Duration,
    /// Who it is and how it reads.
    pub(super) text: String,
    /// What of the wishes cannot be.
    pub(super) notes: Vec<String>,
    /// Antennas of the plan of which it says that none is connected.
    pub(super) unconnected: BTreeSet<u16>,
}

/// Clears away what was, configures, starts.
pub(super) async fn prepare(
    connection: &mut Connection,
    config: &Config,
) -> Result<Ready, Failure> {
    greeting(connection).await?;
    clear(connection).await?;
    let response = connection
        .request(&commands::get_reader_capabilities())
        .await??;
    let can = Capabilities::of(&response);
    let found = found(connection).await?;
    let (mut plan, mut notes) = Plan::new(config, &can, &found);
    if plan.antennas.is_empty() {
        return Err(Failure::NoAntenna(list(config.antennas.keys())));
    }
    let keepalive = Duration::from_secs(u64::from(config.keepalive_s.max(1)));
    extensions(connection, &mut plan, &mut notes).await?;
    configure(connection, keepalive, &mut notes).await?;
    if found.holds {
        connection
            .send(&commands::enable_events_and_reports())
            .await?;
    }
    start(connection, &mut plan, &mut notes).await?;
    let unconnected = found.unconnected.into_iter().filter(|id| plan.has(*id));
    Ok(Ready {
        channels: plan.channels(&can),
        keepalive,
        text: format!("{}: {}", can.name(), plan.text()),
        notes,
        unconnected: unconnected.collect(),
        plan,
    })
}

/// Stops the ROSpec and says goodbye, as far as the reader listens.
pub(super) async fn leave(mut connection: Connection) {
    if !connection.can_speak() {
        return;
    }
    connection.keeps_reports = false;
    let words = [
        plan::stop(),
        commands::delete_rospec(0),
        commands::close_connection(),
    ];
    let leave = async {
        for word in words {
            if let Err(refusal) = connection.request(&word).await? {
                tracing::debug!(?refusal, "a reader refuses when we leave");
            }
        }
        Ok::<(), Failure>(())
    };
    match timeout(LEAVE, leave).await {
        Ok(Ok(())) => {}
        Ok(Err(failure)) => tracing::debug!(%failure, "the leave-taking from a reader failed"),
        Err(_elapsed) => tracing::debug!("a reader did not answer when we left"),
    }
}

/// Waits for the reader's word on the connection. One that says nothing is asked all the same:
/// its answer tells what it is.
pub(super) async fn greeting(connection: &mut Connection) -> Result<(), Failure> {
    if let Ok(done) = timeout(GREETING, greeted(connection)).await {
        done?;
    }
    connection.ours = true;
    Ok(())
}

async fn greeted(connection: &mut Connection) -> Result<(), Failure> {
    let mut said = false;
    loop {
        let (header, bytes) = match connection.next().await {
            Err(Failure::Closed) if !said => return Err(Failure::ClosedUnsaid),
            next => next?,
        };
        said = true;
        // Reports of what another left running may come first.
        if header.number != READER_EVENT_NOTIFICATION {
            continue;
        }
        let message = Message::decode(&bytes)?;
        for event in events::of(&message) {
            match event {
                Event::Connected => {
                    if message.version == Version::V1_1 {
                        connection.speak_newer().await?;
                    }
                    return Ok(());
                }
                Event::Busy(who) => return Err(Failure::Busy(who)),
                Event::Turned(why) => return Err(Failure::Turned(why)),
                Event::Closing => return Err(Failure::Closed),
                _ => {}
            }
        }
    }
}

/// One box owns a reader: what others left running ends. Its refusals matter later, if at all.
async fn clear(connection: &mut Connection) -> Result<(), Failure> {
    let words = [commands::delete_rospec(0), commands::delete_accessspec(0)];
    for word in words {
        if let Err(refusal) = connection.request(&word).await? {
            tracing::debug!(?refusal, "a reader refuses to be cleared");
        }
    }
    Ok(())
}

pub(super) async fn found(connection: &mut Connection) -> Result<Found, Failure> {
    let response = connection.request(&commands::get_reader_config()).await?;
    Ok(response.map_or_else(|_refusal| Found::default(), |response| Found::of(&response)))
}

async fn extensions(
    connection: &mut Connection,
    plan: &mut Plan,
    notes: &mut Vec<String>,
) -> Result<(), Failure> {
    if !plan.wants_impinj() {
        return Ok(());
    }
    let word = commands::impinj_enable_extensions();
    if let Err(refusal) = connection.request(&word).await? {
        plan.without_impinj();
        notes.push(refused("Impinj's extensions", &refusal));
    }
    Ok(())
}

/// A sign of life and events; the sign of life cannot be done without.
async fn configure(
    connection: &mut Connection,
    keepalive: Duration,
    notes: &mut Vec<String>,
) -> Result<(), Failure> {
    let period_ms = u32::try_from(keepalive.as_millis()).unwrap_or(u32::MAX);
    let least = commands::set_reader_config(false).with(commands::keepalive_spec(period_ms));
    let events = commands::event_notifications(&[
        ("ROSpec_Event", true),
        ("Report_Buffer_Fill_Warning", true),
        ("Reader_Exception_Event", true),
        ("Antenna_Event", true),
    ]);
    let whole = least
        .clone()
        .with(events.clone())
        .with(commands::hold_events_and_reports(false));
    // Readers that cannot hold events refuse to hear of it.
    let fewer = least.clone().with(events);
    let Err(refusal) = connection.request(&whole).await? else {
        return Ok(());
    };
    tracing::debug!(?refusal, "a reader refuses its configuration");
    let Err(refusal) = connection.request(&fewer).await? else {
        return Ok(());
    };
    connection.request(&least).await??;
    notes.push(refused("to tell of antennas and troubles", &refusal));
    Ok(())
}

/// Adds, enables and starts the ROSpec, with less each time that it is refused.
async fn start(
    connection: &mut Connection,
    plan: &mut Plan,
    notes: &mut Vec<String>,
) -> Result<(), Failure> {
    loop {
        let Err(refusal) = try_start(connection, plan).await? else {
            return Ok(());
        };
        let Some(given_up) = plan.concede(&refusal) else {
            return Err(refusal.into());
        };
        notes.push(refused(&given_up, &refusal));
        connection.keeps_reports = false;
        clear(connection).await?;
    }
}

async fn try_start(
    connection: &mut Connection,
    plan: &Plan,
) -> Result<Result<(), Refusal>, Failure> {
    for word in [plan.add(), plan::enable()] {
        if let Err(refusal) = connection.request(&word).await? {
            return Ok(Err(refusal));
        }
    }
    connection.keeps_reports = true;
    restart(connection).await
}

/// START_ROSPEC: at first, and where it has ended.
pub(super) async fn restart(connection: &mut Connection) -> Result<Result<(), Refusal>, Failure> {
    let started: Draft = plan::start();
    Ok(connection.request(&started).await?.map(drop))
}

fn refused(what: &str, refusal: &Refusal) -> String {
    format!(
        "it refuses {what} ({}: {})",
        refusal.request, refusal.status
    )
}
