//! The other side: one question to a running host, and one answer, or many.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ControlError;
use super::claim::socket;
use super::protocol::{Hello, Reply, Request, VERSION};
use crate::output;

/// How much longer than the host itself would take an answer is waited for.
const GRACE: Duration = Duration::from_secs(20);
/// The longest answer, in bytes: the longest listing has less.
const MAX_ANSWER: u64 = 64 << 20;

/// Asks the host with this data folder.
///
/// The stop is waited for without end, and then until the host has let go of the folder: the next host can have it at
/// once.
pub(crate) fn ask<T: DeserializeOwned>(data: &Path, request: &Request) -> Result<T, ControlError> {
    let stream = connect(data)?;
    let mut answers = greet(&stream)?;
    let patience = request.patience().map(|patience| patience + GRACE);
    stream.set_read_timeout(patience).map_err(|source| ControlError::NoAnswer { source })?;
    let answer = exchange(&stream, &mut answers, request)?;
    if matches!(request, Request::Stop {}) && stream.set_read_timeout(Some(GRACE)).is_ok() {
        // Nothing comes any more but the end of the connection, which is the end of the host.
        let _gone_either_way = answers.read(&mut [0]);
    }
    Ok(answer)
}

/// Asks the host with this data folder something that has many lines as its answer, and has `each` of them told, until
/// it says no or there are no more. Waits for each without end; of events, which are only printed, until nobody reads
/// stdout any more. Whether there are no more.
pub(crate) fn listen<T: DeserializeOwned>(
    data: &Path,
    request: &Request,
    mut each: impl FnMut(T) -> Result<bool, ControlError>,
) -> Result<bool, ControlError> {
    let stream = connect(data)?;
    let mut answers = greet(&stream)?;
    stream.set_read_timeout(None).map_err(|source| ControlError::NoAnswer { source })?;
    let is_printed = matches!(request, Request::Events { .. });
    let mut because = say(&stream, request)?;
    loop {
        if is_printed && answers.buffer().is_empty() && output::nobody_reads_before(&stream) {
            return Ok(false);
        }
        match read(&mut answers, because.take())? {
            None => return Ok(true),
            Some(line) => {
                if !each(line)? {
                    return Ok(false);
                }
            }
        }
    }
}

/// Says the first line to the host, and hears its own.
fn greet(stream: &UnixStream) -> Result<BufReader<&UnixStream>, ControlError> {
    let mut answers = BufReader::new(stream);
    let limited = stream.set_read_timeout(Some(GRACE)).and_then(|()| stream.set_write_timeout(Some(GRACE)));
    limited.map_err(|source| ControlError::NoAnswer { source })?;
    let _spoken_to: serde_json::Value = exchange(stream, &mut answers, &Hello { airssys: VERSION })?;
    Ok(answers)
}

fn connect(data: &Path) -> Result<UnixStream, ControlError> {
    let socket = socket(data);
    UnixStream::connect(&socket).map_err(|source| match source.kind() {
        // No socket, or that of a host that was killed.
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => ControlError::NoHost { data: data.to_owned() },
        ErrorKind::InvalidInput => ControlError::TooLong { socket },
        _ => ControlError::Connect { socket, source },
    })
}

fn exchange<T: DeserializeOwned>(
    stream: &UnixStream,
    answers: &mut BufReader<&UnixStream>,
    line: &impl Serialize,
) -> Result<T, ControlError> {
    let because = say(stream, line)?;
    read(answers, because)
}

/// Writes a line; what went wrong with that is for [`read`]. A host that refuses may do so before it has read all: its
/// word counts, not that it stopped listening.
fn say(mut stream: &UnixStream, line: &impl Serialize) -> Result<Option<io::Error>, ControlError> {
    let mut text = serde_json::to_vec(line).map_err(|source| ControlError::Garbled { source })?;
    text.push(b'\n');
    Ok(stream.write_all(&text).err())
}

/// Reads a line; where none comes, the host went away, or did so `because` of this.
fn read<T: DeserializeOwned>(
    answers: &mut BufReader<&UnixStream>,
    because: Option<io::Error>,
) -> Result<T, ControlError> {
    let mut answer = Vec::new();
    let read = answers.take(MAX_ANSWER).read_until(b'\n', &mut answer);
    let broken = |source| ControlError::NoAnswer { source };
    if read.map_err(broken)? == 0 {
        return Err(broken(because.unwrap_or_else(|| io::Error::from(ErrorKind::UnexpectedEof))));
    }
    let garbled = |source| ControlError::Garbled { source };
    match serde_json::from_slice(&answer).map_err(garbled)? {
        Reply::Ok(value) => serde_json::from_value(value).map_err(garbled),
        Reply::Error(refusal) => Err(refusal.into()),
    }
}
