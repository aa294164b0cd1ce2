//! One TCP connection to a reader: messages out and in, requests with their answers. What comes
//! between a request and its answer is acknowledged, set aside or dropped, never taken for it.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::failure::Failure;
use crate::wire::llrp::{Definition, Draft, Element, Framer, Header, Message, Version, commands};

pub(super) const CONNECT: Duration = Duration::from_secs(5);
/// Readers take seconds to delete what they do, and for a first ROSpec.
const ANSWER: Duration = Duration::from_secs(10);
const SEND: Duration = Duration::from_secs(5);
/// More than a read of a socket gives at once.
const CHUNK: usize = 64 << 10;
/// Bytes of messages that came while an answer was waited for.
const ASIDE_MAX: usize = 4 << 20;

pub(super) const ERROR_MESSAGE: u16 = 100;
pub(super) const RO_ACCESS_REPORT: u16 = 61;
pub(super) const KEEPALIVE: u16 = 62;
pub(super) const READER_EVENT_NOTIFICATION: u16 = 63;
/// A reader that knows only the other version (LLRP 1.1 clause 9, 1.0.1 clause 14.2.1).
const UNSUPPORTED_VERSION: u64 = 110;

pub(super) struct Connection {
    stream: TcpStream,
    framer: Framer,
    chunk: Box<[u8]>,
    version: Version,
    last_id: u32,
    /// A message is out in part: nothing can be said after it.
    cut_short: bool,
    aside: VecDeque<Vec<u8>>,
    aside_bytes: usize,
    /// The reader took the connection: it does what is said.
    pub(super) ours: bool,
    /// Reports that come while an answer is waited for are set aside, and else dropped.
    pub(super) keeps_reports: bool,
    /// Messages that found no room aside.
    pub(super) overflowed: u64,
}

/// What a reader answers if it does not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) request: &'static str,
    pub(super) status: String,
    /// The parameters that it names, outermost first.
    pub(super) culprits: Vec<&'static str>,
    pub(super) code: u64,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Rejected {
            request: refusal.request,
            status: refusal.status,
        }
    }
}

impl Connection {
    pub(super) async fn open(host: &str, port: u16) -> Result<Self, Failure> {
        let connect = async {
            let addresses = tokio::net::lookup_host((host, port)).await;
            let addresses: Vec<_> = addresses.map_err(Failure::Lookup)?.collect();
            TcpStream::connect(&*addresses)
                .await
                .map_err(Failure::connect)
        };
        let connected = timeout(CONNECT, connect).await;
        let stream = connected.map_err(|_elapsed| Failure::NoAnswerAtAll(CONNECT.as_secs()))??;
        // Acknowledgements are small, and readers wait for them.
        stream.set_nodelay(true).map_err(Failure::lost)?;
        Ok(Self {
            stream,
            framer: Framer::default(),
            chunk: vec![0; CHUNK].into(),
            version: Version::V1_0_1,
            last_id: 0,
            cut_short: false,
            aside: VecDeque::new(),
            aside_bytes: 0,
            ours: false,
            keeps_reports: false,
            overflowed: 0,
        })
    }

    /// Waits for bytes and takes them; [`Self::pop`] has the messages.
    pub(super) async fn read(&mut self) -> Result<(), Failure> {
        let read = self.stream.read(&mut self.chunk).await;
        match read.map_err(Failure::lost)? {
            0 => Err(Failure::Closed),
            length => {
                self.framer.push(&self.chunk[..length]);
                Ok(())
            }
        }
    }

    /// A whole message that has come.
    pub(super) fn pop(&mut self) -> Result<Option<&[u8]>, Failure> {
        Ok(self.framer.pop()?)
    }

    /// A message that came while an answer was waited for, oldest first.
    pub(super) fn pop_aside(&mut self) -> Option<Vec<u8>> {
        let message = self.aside.pop_front()?;
        self.aside_bytes -= message.len();
        Some(message)
    }

    /// The next message, for the time before reads flow.
    pub(super) async fn next(&mut self) -> Result<(Header, Vec<u8>), Failure> {
        loop {
            if let Some(bytes) = self.framer.pop()? {
                return Ok((Header::read(bytes)?, bytes.to_vec()));
            }
            self.read().await?;
        }
    }

    /// Sends what has no answer.
    pub(super) async fn send(&mut self, draft: &Draft) -> Result<(), Failure> {
        let id = self.new_id();
        let message = draft.message(self.version, id)?;
        self.write(&message).await
    }

    pub(super) async fn acknowledge(&mut self, keepalive: u32) -> Result<(), Failure> {
        let ack = commands::keepalive_ack().message(self.version, keepalive)?;
        self.write(&ack).await
    }

    /// Asks and waits for the answer: its tree, or the refusal that it is.
    pub(super) async fn request(
        &mut self,
        draft: &Draft,
    ) -> Result<Result<Message, Refusal>, Failure> {
        let answer = self.ask(draft).await?;
        match answer {
            Err(refusal) if refusal.code == UNSUPPORTED_VERSION && self.speak_newer().await? => {
                self.ask(draft).await
            }
            answer => Ok(answer),
        }
    }

    /// Turns to LLRP 1.1, once, for readers that speak nothing else.
    pub(super) async fn speak_newer(&mut self) -> Result<bool, Failure> {
        if self.version == Version::V1_1 {
            return Ok(false);
        }
        self.version = Version::V1_1;
        let known = self.ask(&commands::get_supported_version()).await?;
        tracing::debug!(answer = ?known, "LLRP 1.0.1 is not spoken here");
        let set = commands::set_protocol_version(Version::V1_1);
        let taken = self.ask(&set).await?.is_ok();
        if !taken {
            self.version = Version::V1_0_1;
        }
        Ok(taken)
    }

    /// Whether the reader listens, and a message can still be said as a whole.
    pub(super) fn can_speak(&self) -> bool {
        self.ours && !self.cut_short
    }

    async fn ask(&mut self, draft: &Draft) -> Result<Result<Message, Refusal>, Failure> {
        let id = self.new_id();
        let message = draft.message(self.version, id)?;
        let request = message.name();
        self.write(&message).await?;
        let answer = timeout(ANSWER, self.answer(id)).await;
        let answer = answer.map_err(|_elapsed| Failure::NoAnswer {
            request,
            seconds: ANSWER.as_secs(),
        })??;
        Ok(refusal(request, &answer).map_or(Ok(answer), Err))
    }

    async fn answer(&mut self, id: u32) -> Result<Message, Failure> {
        loop {
            let (header, bytes) = self.next().await?;
            match header.number {
                KEEPALIVE => self.acknowledge(header.id).await?,
                RO_ACCESS_REPORT if !self.keeps_reports => {}
                RO_ACCESS_REPORT | READER_EVENT_NOTIFICATION => self.set_aside(bytes),
                _ if header.id == id => return Ok(Message::decode(&bytes)?),
                // Where a reader could not make out what it was asked.
                ERROR_MESSAGE if header.id == 0 => return Ok(Message::decode(&bytes)?),
                number => tracing::debug!(number, id = header.id, "an answer that nobody awaits"),
            }
        }
    }

    fn set_aside(&mut self, message: Vec<u8>) {
        if self.aside_bytes + message.len() <= ASIDE_MAX {
            self.aside_bytes += message.len();
            self.aside.push_back(message);
        } else {
            self.overflowed += 1;
        }
    }

    async fn write(&mut self, message: &Message) -> Result<(), Failure> {
        let bytes = message.encode().map_err(|e| Failure::Unsayable(e.into()))?;
        self.cut_short = true;
        let written = timeout(SEND, self.stream.write_all(&bytes)).await;
        written
            .map_err(|_elapsed| Failure::Stuck(SEND.as_secs()))?
            .map_err(Failure::lost)?;
        self.cut_short = false;
        Ok(())
    }

    /// 0 is what readers use for messages of their own.
    fn new_id(&mut self) -> u32 {
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        self.last_id
    }
}

fn refusal(request: &'static str, answer: &Message) -> Option<Refusal> {
    let status = answer.status()?;
    if status.is_success() {
        return None;
    }
    let mut culprits = Vec::new();
    let mut at = answer.param("LLRPStatus");
    while let Some(error) = at.and_then(|element| element.param("ParameterError")) {
        culprits.extend(named(error));
        at = Some(error);
    }
    Some(Refusal {
        request,
        status: short(&status.to_string()),
        culprits,
        code: status.code(),
    })
}

fn named(error: &Element) -> Option<&'static str> {
    let number = u16::try_from(error.number("ParameterType")?).ok()?;
    Definition::parameter(number).map(|definition| definition.name)
}

/// A device's words, cut where they are endless.
pub(super) fn short(text: &str) -> String {
    const LONGEST: usize = 300;
    let mut rest = text.chars();
    let mut cut: String = rest.by_ref().take(LONGEST).collect();
    if rest.next().is_some() {
        cut.push('…');
    }
    cut
}
