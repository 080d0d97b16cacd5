//! Takes of a thing until it gets no more, and keeps what it got.
//!
//! By WASI 0.2 itself: the tool chains' own tables of open files are smaller than what is to be tried.

use prober_protocol::{Command, Held};
use serde_json::{Value, json};
use wasip2::clocks::monotonic_clock;
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};
use wasip2::io::poll::Pollable;
use wasip2::io::streams::InputStream;
use wasip2::sockets::network::IpAddressFamily;
use wasip2::sockets::tcp::TcpSocket;
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

use crate::Told;
use crate::fill;
use crate::refusal::named;

/// What is kept.
#[derive(Default)]
pub(crate) struct Kept {
    sockets: Vec<TcpSocket>,
    files: Vec<Descriptor>,
    nameless: Vec<std::fs::File>,
    streams: Vec<InputStream>,
    pollables: Vec<Pollable>,
}

impl Kept {
    /// The commands that keep something; none for any other.
    pub(crate) fn obey(&mut self, command: &Command) -> Option<Told> {
        Some(match command {
            Command::HoldSockets => {
                let refused = until_refused(&mut self.sockets, || create_tcp_socket(IpAddressFamily::Ipv4));
                Ok(held(self.sockets.len(), refused.name()))
            }
            Command::HoldFiles(path) => self.files(path),
            Command::HoldNameless { path, bytes } => Ok(fill::nameless(&mut self.nameless, path, *bytes)),
            Command::HoldStreams(path) => self.streams(path),
            Command::HoldPollables => loop {
                self.pollables.push(monotonic_clock::subscribe_duration(u64::MAX));
            },
            Command::LetGo => {
                let Self { sockets, files, nameless, streams, pollables } = std::mem::take(self);
                Ok(json!(sockets.len() + files.len() + nameless.len() + streams.len() + pollables.len()))
            }
            _ => return None,
        })
    }

    fn files(&mut self, path: &str) -> Told {
        let (folder, name) = folder(path)?;
        let refused = until_refused(&mut self.files, || open(&folder, &name));
        Ok(held(self.files.len(), refused.name()))
    }

    fn streams(&mut self, path: &str) -> Told {
        let (folder, name) = folder(path)?;
        let file = open(&folder, &name).map_err(|error| named(error.name(), error.message()))?;
        let refused = until_refused(&mut self.streams, || file.read_via_stream(0));
        self.files.push(file);
        Ok(held(self.streams.len(), refused.name()))
    }
}

fn until_refused<T, E>(kept: &mut Vec<T>, mut take: impl FnMut() -> Result<T, E>) -> E {
    loop {
        match take() {
            Ok(one) => kept.push(one),
            Err(error) => return error,
        }
    }
}

fn held(held: usize, refused: &str) -> Value {
    json!(Held { held, refused: refused.to_owned() })
}

/// The granted folder that a path begins with, and the rest of it.
pub(crate) fn folder(path: &str) -> Result<(Descriptor, String), prober_protocol::Refusal> {
    get_directories()
        .into_iter()
        .find_map(|(folder, at)| Some((folder, path.strip_prefix(&at)?.trim_start_matches('/').to_owned())))
        .ok_or_else(|| named("no-folder", path))
}

fn open(folder: &Descriptor, name: &str) -> Result<Descriptor, ErrorCode> {
    folder.open_at(PathFlags::empty(), name, OpenFlags::empty(), DescriptorFlags::READ)
}
