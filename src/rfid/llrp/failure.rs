//! Why a connection could not be made or has ended, in words that say what to look at. The address
//! is told by whoever tells the failure.

use std::io;

use crate::link::outlet::Gone;
use crate::wire::llrp::{DecodeError, DraftError, FrameError};

#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("no device of this name ({0}); look at `host` in the store file and at the box's DNS")]
    Lookup(io::Error),
    #[error(
        "refused: a device is there, but nothing listens at this port; is LLRP switched on, is it \
         the right port (LLRP has 5084), is the reader still starting?"
    )]
    Refused,
    #[error(
        "no answer to the connection within {0} s; look at the reader's power, its network cable \
         and its address"
    )]
    NoAnswerAtAll(u64),
    #[error("no way to it ({0}); look at the box's network cable, address and routes")]
    Unreachable(io::Error),
    #[error("{0}")]
    Io(io::Error),
    #[error("{0}")]
    NotLlrp(#[from] FrameError),
    #[error("its message is no LLRP: {0}")]
    Malformed(#[from] DecodeError),
    #[error("the connection was closed at once, without a word; {ANOTHER}")]
    ClosedUnsaid,
    #[error("the reader closed the connection; did it restart? Or: {ANOTHER}")]
    Closed,
    #[error("another client holds this reader ({0}): {ANOTHER}")]
    Busy(&'static str),
    #[error("the reader refuses the connection ({0})")]
    Turned(String),
    #[error(
        "no answer to {request} within {seconds} s; it is connected, but is it an LLRP reader?"
    )]
    NoAnswer { request: &'static str, seconds: u64 },
    #[error("no word for {0} s; look at the reader's power and network cable")]
    Silent(u64),
    #[error("it takes nothing: {0} s were not enough to send a message")]
    Stuck(u64),
    #[error("it refuses {request}: {status}")]
    Rejected {
        request: &'static str,
        status: String,
    },
    #[error("it has no antenna of those that are asked for: {0}")]
    NoAntenna(String),
    #[error("it ends its ROSpec again and again, without a read between; {ANOTHER}")]
    KeepsEnding,
    #[error("cannot say it: {0}")]
    Unsayable(#[from] DraftError),
    #[error(transparent)]
    Gone(#[from] Gone),
}

pub(super) const ANOTHER: &str = "is a second box or a vendor tool configured for it? (or it has \
                                  not noticed yet that our last connection is dead)";

impl Failure {
    /// Why `connect` failed.
    pub(super) fn connect(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::AddrNotAvailable => Self::Unreachable(error),
            io::ErrorKind::TimedOut => Self::NoAnswerAtAll(super::connection::CONNECT.as_secs()),
            _ => Self::Io(error),
        }
    }

    /// Why an open connection failed.
    pub(super) fn lost(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Io(error),
        }
    }
}
