//! Lines on a connection: bounded in length and in time.

use std::time::Duration;

use airssys_wasm::command::hide_in;
use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use super::protocol::MAX_LINE;

/// A line that came, or none.
pub(super) enum Line {
    Text(Vec<u8>),
    TooLong,
    /// It is over: the client went away, or said nothing for too long.
    End,
}

/// The lines of a client.
pub(super) struct Lines(BufReader<OwnedReadHalf>);

impl Lines {
    pub(super) fn new(from: OwnedReadHalf) -> Self {
        Self(BufReader::new(from))
    }

    /// The next one, whole, within `patience`.
    pub(super) async fn next(&mut self, patience: Duration) -> Line {
        let mut line = Vec::new();
        let mut bounded = (&mut self.0).take(MAX_LINE as u64 + 1);
        match timeout(patience, bounded.read_until(b'\n', &mut line)).await {
            Ok(Ok(_)) if line.pop_if(|last| *last == b'\n').is_some() => Line::Text(line),
            Ok(Ok(_)) if line.len() > MAX_LINE => Line::TooLong,
            _ => Line::End,
        }
    }

    /// Waits until the client has gone. One that has said more already is not looked at further.
    pub(super) async fn gone(&mut self) {
        if matches!(self.0.fill_buf().await, Ok(more) if !more.is_empty()) {
            std::future::pending::<()>().await;
        }
    }
}

/// Writes a line within `patience`; false where the client does not take it.
pub(super) async fn write(to: &mut OwnedWriteHalf, data: &impl Serialize, patience: Duration) -> bool {
    let Ok(mut value) = serde_json::to_value(data) else { return false };
    // Whatever it is that is told, it leaves the host here.
    hide_in(&mut value);
    let Ok(mut line) = serde_json::to_vec(&value) else { return false };
    line.push(b'\n');
    matches!(timeout(patience, to.write_all(&line)).await, Ok(Ok(())))
}
