//! Why a request has no response, or no whole one.

use std::error::Error;
use std::io;
use std::net::IpAddr;

use crate::capability::{Host, Near};

/// Why a request has no response, or no whole one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("the name cannot be resolved")]
    Lookup(#[source] io::Error),
    #[error("the name has no address")]
    NoAddress,
    /// The name leads to nobody whom it may lead to.
    #[error("{host} leads to {ip}, which is {}", near.name())]
    TooNear { host: Host, ip: IpAddr, near: Near },
    /// In a seeded host, which leads to nobody else.
    #[error("no peer of the test answers it")]
    NoPeer,
    #[error("nobody can be connected to")]
    Connect(#[source] io::Error),
    #[error("there is no connection in time")]
    ConnectTimeout,
    #[error("the name is none that a certificate can be for")]
    NoServerName,
    #[error("nobody says whom to trust: {0}")]
    Trust(String),
    #[error("the connection is not secure")]
    Tls(#[source] io::Error),
    #[error("there is no response in time")]
    FirstByteTimeout,
    #[error("nothing more of the response comes in time")]
    BetweenBytesTimeout,
    #[error("the response ends before its end")]
    Incomplete,
    #[error("the head of the response is too long")]
    HeadTooLong,
    #[error("the connection ended")]
    Ended(#[source] hyper::Error),
    /// Also where the guest's own body ends with an error.
    #[error("this is not HTTP")]
    Protocol(#[source] hyper::Error),
}

impl ClientError {
    pub(super) fn of_hyper(error: hyper::Error) -> Self {
        if error.is_incomplete_message() {
            return Self::Incomplete;
        }
        if error.is_parse_too_large() {
            return Self::HeadTooLong;
        }
        let of_io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        match of_io.map(io::Error::kind) {
            // In the middle of a chunk, or of the bytes that the head announced.
            Some(io::ErrorKind::UnexpectedEof) => Self::Incomplete,
            Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => Self::Protocol(error),
            Some(_) => Self::Ended(error),
            None if error.is_canceled() || error.is_closed() => Self::Ended(error),
            None => Self::Protocol(error),
        }
    }
}
