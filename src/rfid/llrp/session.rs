//! A reader that reads: reports to the daemon, signs of life answered, troubles told. Ends with the
//! connection.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};

use super::connection::{
    Connection, ERROR_MESSAGE, KEEPALIVE, READER_EVENT_NOTIFICATION, RO_ACCESS_REPORT, short,
};
use super::events::{self, Event};
use super::failure::{ANOTHER, Failure};
use super::plan::{Plan, ROSPEC};
use super::reports::{Arrival, Reports};
use super::setup::{self, Ready};
use super::troubles::Troubles;
use crate::clock::Monotonic;
use crate::link::backoff::Backoff;
use crate::link::outlet::{Gone, Outlet, Readings};
use crate::observation::SourceState;
use crate::wire::llrp::{Header, Message, commands};

/// How long reads may wait at the reader for their report to fill.
const FETCH: Duration = Duration::from_millis(500);
/// A ROSpec that ends so often without a read between is ended by somebody.
const RESTARTS_MAX: u32 = 5;
/// A reader that complains without end is not passed on without end.
const TELL_MS: u64 = 1_000;

/// Until the connection ends, and why.
pub(super) async fn run(
    connection: &mut Connection,
    ready: Ready,
    outlet: &mut Outlet,
    backoff: &mut Backoff,
) -> Failure {
    let mut session = Session::new(connection, ready, outlet);
    let Err(failure) = session.go(backoff).await;
    match session.tell_lost() {
        Ok(()) => failure,
        Err(gone) => gone.into(),
    }
}

struct Session<'a> {
    connection: &'a mut Connection,
    outlet: &'a mut Outlet,
    plan: Plan,
    text: String,
    /// Without any message the reader is held for dead after this.
    patience: Duration,
    fetch: Option<Interval>,
    reports: Reports,
    troubles: Troubles,
    clock: Monotonic,
    /// ROSpecs started anew since the last read.
    restarts: u32,
    told: Option<(SourceState, u64)>,
    /// Reports that were lost, and why, to be told.
    lost: Option<(u64, String)>,
}

/// What came together.
#[derive(Default)]
struct Batch {
    messages: usize,
    readings: Readings,
    keepalives: Vec<u32>,
    events: Vec<Event>,
    /// Messages and reports that are no LLRP, and what is wrong with the last.
    malformed: Option<(u64, String)>,
    refused: Option<String>,
}

impl<'a> Session<'a> {
    fn new(connection: &'a mut Connection, ready: Ready, outlet: &'a mut Outlet) -> Self {
        let antennas = ready.plan.antennas.iter().map(|a| a.id).collect();
        let mut fetch = ready.plan.gathers().then(|| interval(FETCH));
        if let Some(fetch) = &mut fetch {
            fetch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        Self {
            connection,
            outlet,
            reports: Reports::new(antennas, ready.channels, ready.unconnected),
            plan: ready.plan,
            text: ready.text,
            patience: ready.keepalive * 5 / 2,
            fetch,
            troubles: Troubles::new(ready.notes),
            clock: Monotonic::start(),
            restarts: 0,
            told: None,
            lost: None,
        }
    }

    async fn go(&mut self, backoff: &mut Backoff) -> Result<Infallible, Failure> {
        self.tell().await?;
        let mut deadline = Instant::now() + self.patience;
        loop {
            let (batch, broken) = self.gather();
            if batch.messages > 0 {
                deadline = Instant::now() + self.patience;
                if !batch.keepalives.is_empty() || !batch.readings.is_empty() {
                    backoff.reset();
                }
                self.handle(batch).await?;
            }
            if let Some(failure) = broken {
                return Err(failure);
            }
            self.wait(deadline).await?;
        }
    }

    /// Waits for bytes; fetches what waits at the reader meanwhile.
    async fn wait(&mut self, deadline: Instant) -> Result<(), Failure> {
        loop {
            let fetch = async {
                match &mut self.fetch {
                    Some(fetch) => drop(fetch.tick().await),
                    None => std::future::pending().await,
                }
            };
            // What has come counts, however late it is looked at.
            tokio::select! {
                biased;
                read = self.connection.read() => return read,
                () = sleep_until(deadline) => {
                    return Err(Failure::Silent(self.patience.as_secs()));
                }
                () = fetch => {}
            }
            self.connection.send(&commands::get_report()).await?;
        }
    }

    /// All messages that are here, and what is wrong with the stream after them.
    fn gather(&mut self) -> (Batch, Option<Failure>) {
        let mut batch = Batch::default();
        let arrival = Arrival::now(&self.clock);
        while let Some(message) = self.connection.pop_aside() {
            batch.sort(&message, &mut self.reports, arrival);
        }
        loop {
            match self.connection.pop() {
                Ok(Some(message)) => batch.sort(message, &mut self.reports, arrival),
                Ok(None) => return (batch, None),
                Err(failure) => return (batch, Some(failure)),
            }
        }
    }

    async fn handle(&mut self, batch: Batch) -> Result<(), Failure> {
        for id in batch.keepalives {
            self.connection.acknowledge(id).await?;
        }
        if !batch.readings.is_empty() {
            self.restarts = 0;
            self.outlet.readings(batch.readings).await?;
        }
        self.count_lost(batch.malformed);
        if let Some(refused) = batch.refused {
            self.refused(refused);
        }
        for event in batch.events {
            self.event(event).await?;
        }
        self.tell().await
    }

    fn count_lost(&mut self, malformed: Option<(u64, String)>) {
        if let Some((lost, error)) = malformed {
            self.lose(lost, format!("the reader's reports are no LLRP: {error}"));
        }
        let overflowed = std::mem::take(&mut self.connection.overflowed);
        if overflowed > 0 {
            let reason = "reports came faster than the reader's answer";
            self.lose(overflowed, reason.to_owned());
        }
    }

    fn lose(&mut self, lost: u64, reason: String) {
        let before = self.lost.as_ref().map_or(0, |(lost, _)| *lost);
        self.lost = Some((before + lost, reason));
    }

    async fn event(&mut self, event: Event) -> Result<(), Failure> {
        let now = self.clock.millis();
        match event {
            Event::Antenna { id, connected } if self.plan.has(id) => {
                self.reports.unheard.remove(&id);
                self.troubles.antenna(id, connected);
            }
            Event::Exception(text) => {
                self.troubles
                    .passes(format!("it tells of a fault: {text}"), now);
            }
            Event::BufferFills { percent } => self.troubles.passes(
                format!("its report buffer is {percent} % full; is the network too slow?"),
                now,
            ),
            Event::BufferOverflowed => {
                let text = "its report buffer overflowed; it lost reads, how many it does not tell";
                self.troubles.passes(text.to_owned(), now);
                self.lose(1, text.to_owned());
            }
            Event::Wanted => {
                let text = format!("another client tried to connect to it: {ANOTHER}");
                self.troubles.passes(text, now);
            }
            Event::RospecEnded { id, preempted } if id == u64::from(ROSPEC) => {
                return self.start_anew(preempted).await;
            }
            Event::Closing => return Err(Failure::Closed),
            Event::Busy(who) => return Err(Failure::Busy(who)),
            Event::Turned(why) => return Err(Failure::Turned(why)),
            Event::Connected | Event::Antenna { .. } | Event::RospecEnded { .. } => {}
        }
        Ok(())
    }

    async fn start_anew(&mut self, preempted: bool) -> Result<(), Failure> {
        self.restarts += 1;
        if self.restarts > RESTARTS_MAX {
            return Err(Failure::KeepsEnding);
        }
        setup::restart(self.connection).await??;
        let why = if preempted {
            "another ROSpec had displaced ours"
        } else {
            "its ROSpec had ended"
        };
        let text = format!("{why}, and was started anew: {ANOTHER}");
        self.troubles.passes(text, self.clock.millis());
        Ok(())
    }

    /// An ERROR_MESSAGE: the one thing that is asked of a reader that reads is GET_REPORT.
    fn refused(&mut self, status: String) {
        if self.fetch.take().is_some() {
            self.troubles.lasts(format!(
                "it refuses GET_REPORT ({status}), so that reads wait until their report is full; \
                 `report_every = 1` helps"
            ));
        } else {
            tracing::debug!(%status, "a reader refuses");
        }
    }

    /// Tells losses and the state; more often than once a second only if it is another state.
    async fn tell(&mut self) -> Result<(), Failure> {
        let now = self.clock.millis();
        let (odd, unheard) = (&self.reports.oddities, &self.reports.unheard);
        let (state, reason) = self.troubles.state(&self.text, unheard, odd, now);
        let lately = |at: u64| now < at.saturating_add(TELL_MS);
        if self
            .told
            .is_some_and(|(told, at)| told == state && lately(at))
        {
            return Ok(());
        }
        self.told = Some((state, now));
        self.tell_lost()?;
        Ok(self.outlet.state(state, &reason).await?)
    }

    fn tell_lost(&mut self) -> Result<(), Gone> {
        match self.lost.take() {
            Some((lost, reason)) => self.outlet.lose(lost, &reason),
            None => Ok(()),
        }
    }
}

impl Batch {
    fn sort(&mut self, message: &[u8], reports: &mut Reports, arrival: Arrival) {
        self.messages += 1;
        let header = match Header::read(message) {
            Ok(header) => header,
            Err(error) => return self.lose(error.to_string()),
        };
        match header.number {
            RO_ACCESS_REPORT => {
                if let Err(error) = reports.take(message, arrival, &mut self.readings) {
                    self.lose(error.to_string());
                }
            }
            KEEPALIVE => self.keepalives.push(header.id),
            READER_EVENT_NOTIFICATION | ERROR_MESSAGE => match Message::decode(message) {
                Ok(message) => self.told(&message, reports, arrival),
                Err(error) => self.lose(error.to_string()),
            },
            number => tracing::debug!(number, "a message that nobody awaits"),
        }
    }

    fn told(&mut self, message: &Message, reports: &mut Reports, arrival: Arrival) {
        if let Some(status) = message.status() {
            self.refused = Some(short(&status.to_string()));
        }
        self.events.extend(events::of(message));
        if let Some(stamp) = events::stamp(message) {
            reports.learn(stamp, arrival);
        }
    }

    fn lose(&mut self, error: String) {
        let lost = self.malformed.as_ref().map_or(0, |(lost, _)| *lost);
        self.malformed = Some((lost + 1, error));
    }
}
