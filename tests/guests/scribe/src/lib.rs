//! Works with files as it is told, each by one function of WASI, and tells what came of it: what was read, nothing, or
//! the name of an error.

use std::collections::BTreeMap;

use airssys_sdk::files::{self, FileError, Watch};
use airssys_sdk::prelude::*;
use serde::Deserialize;
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, NewTimestamp, OpenFlags, PathFlags};
use wasip2::io::streams::StreamError;

/// What it is told. The paths begin with those of granted folders.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Told {
    /// To open something, with letters for flags: `r`ead, `w`rite, `c`reate, e`x`clusive, `t`runcate, `d`irectory.
    Open(String, String),
    /// To open something so and to read it.
    Read(String, String),
    /// To open something so and to write `written` over its beginning.
    Write(String, String),
    /// The same by a stream.
    Stream(String, String),
    /// To open something so and to set its length.
    Size(String, String, u64),
    Touch(String),
    Make(String),
    Unlink(String),
    RemoveFolder(String),
    List(String),
    /// The same, in the order in which it is told.
    InOrder(String),
    Stat(String),
    /// To tell its length, when it was written to in seconds, how many names it has, and its number.
    Facts(String),
    /// To read it by a stream, each piece when it is there.
    Pour(String),
    Readlink(String),
    Link(String, String),
    /// What it says, and where.
    Symlink(String, String),
    Rename(String, String),
    /// To open something so and to keep it.
    Keep(String, String),
    /// To read or to write what is kept.
    ReadKept,
    WriteKept,
    /// To write a record behind all that is there; by the next one so that it is on the disk.
    Append(String, String),
    AppendSynced(String, String),
    /// To append so many records of so many letters, each ended by a line.
    AppendMany(String, String, usize, usize),
    /// To replace a file as a whole.
    Replace(String, String),
    /// To replace it so often, each time by so many letters, all of them the same.
    ReplaceMany(String, usize, usize),
    /// To watch something and to keep that under this name.
    Watch(String, String),
    /// To tell what has changed there: at once, or when something has.
    Take(String),
    Wait(String),
    Unwatch(String),
}

#[derive(Default)]
struct Scribe {
    kept: Option<Descriptor>,
    watched: BTreeMap<String, Watch>,
}

#[component]
impl Scribe {
    fn init() -> Result<Self> {
        Ok(Self::default())
    }

    /// Each of these, one after the other.
    fn handle(&mut self, told: Vec<Told>) -> Result<Vec<String>> {
        Ok(told.into_iter().map(|one| self.obey(one)).collect())
    }
}

type Came = std::result::Result<String, ErrorCode>;

/// The granted folder that a path begins with, and the rest.
fn place(path: &str) -> std::result::Result<(Descriptor, String), ErrorCode> {
    let found = get_directories().into_iter().find_map(|(folder, name)| {
        let rest = path.strip_prefix(&name)?;
        (rest.is_empty() || rest.starts_with('/')).then(|| (folder, rest.trim_start_matches('/').to_owned()))
    });
    found.map(|(folder, rest)| (folder, if rest.is_empty() { ".".to_owned() } else { rest })).ok_or(ErrorCode::NoEntry)
}

fn open(path: &str, letters: &str) -> std::result::Result<Descriptor, ErrorCode> {
    let (mut how, mut with) = (OpenFlags::empty(), DescriptorFlags::empty());
    for letter in letters.chars() {
        match letter {
            'r' => with |= DescriptorFlags::READ,
            'w' => with |= DescriptorFlags::WRITE,
            'm' => with |= DescriptorFlags::MUTATE_DIRECTORY,
            'c' => how |= OpenFlags::CREATE,
            'x' => how |= OpenFlags::EXCLUSIVE,
            't' => how |= OpenFlags::TRUNCATE,
            _ => how |= OpenFlags::DIRECTORY,
        }
    }
    let (folder, rest) = place(path)?;
    folder.open_at(PathFlags::SYMLINK_FOLLOW, &rest, how, with)
}

impl Scribe {
    /// What came of it, whoever does it.
    fn obey(&mut self, told: Told) -> String {
        match told {
            Told::Append(..)
            | Told::AppendSynced(..)
            | Told::AppendMany(..)
            | Told::Replace(..)
            | Told::ReplaceMany(..)
            | Told::Watch(..)
            | Told::Take(_)
            | Told::Wait(_)
            | Told::Unwatch(_) => self.beyond(told).unwrap_or_else(|error| word(&error)),
            told => self.by_wasi(told).unwrap_or_else(|code| code.name().to_owned()),
        }
    }

    /// What WASI has no word for.
    fn beyond(&mut self, told: Told) -> std::result::Result<String, FileError> {
        let unknown = || FileError::Failed("nothing is watched under that".to_owned());
        match told {
            Told::Append(path, record) => files::append(&path, record)?,
            Told::AppendSynced(path, record) => files::append_synced(&path, record)?,
            Told::AppendMany(path, letter, length, many) => {
                for _ in 0..many {
                    files::append(&path, letter.repeat(length) + "\n")?;
                }
            }
            Told::Replace(path, content) => files::replace(&path, content)?,
            Told::ReplaceMany(path, length, many) => {
                for at in 0..many {
                    files::replace(&path, ["a", "b", "c"][at % 3].repeat(length))?;
                }
            }
            Told::Watch(name, path) => drop(self.watched.insert(name, Watch::start(&path)?)),
            Told::Take(name) => return Ok(changes(self.watched.get(&name).ok_or_else(unknown)?.take()?)),
            Told::Wait(name) => return Ok(changes(self.watched.get(&name).ok_or_else(unknown)?.wait()?)),
            Told::Unwatch(name) => drop(self.watched.remove(&name)),
            _ => return Err(unknown()),
        }
        Ok("ok".to_owned())
    }

    fn by_wasi(&mut self, told: Told) -> Came {
        let ok = Ok("ok".to_owned());
        match told {
            Told::Open(path, flags) => open(&path, &flags).map(|_| "ok".to_owned()),
            Told::Read(path, flags) => read(&open(&path, &flags)?),
            Told::Write(path, flags) => open(&path, &flags)?.write(b"written", 0).and(ok),
            Told::Stream(path, flags) => {
                let file = open(&path, &flags)?;
                let stream = file.write_via_stream(0)?;
                stream.blocking_write_and_flush(b"written").map_err(|_| ErrorCode::Io).and(ok)
            }
            Told::Size(path, flags, size) => open(&path, &flags)?.set_size(size).and(ok),
            Told::Touch(path) => {
                let (folder, rest) = place(&path)?;
                folder.set_times_at(PathFlags::empty(), &rest, NewTimestamp::Now, NewTimestamp::Now).and(ok)
            }
            Told::Make(path) => place(&path).and_then(|(folder, rest)| folder.create_directory_at(&rest)).and(ok),
            Told::Unlink(path) => place(&path).and_then(|(folder, rest)| folder.unlink_file_at(&rest)).and(ok),
            Told::RemoveFolder(path) => {
                place(&path).and_then(|(folder, rest)| folder.remove_directory_at(&rest)).and(ok)
            }
            Told::List(path) => {
                let entries = open(&path, "rd")?.read_directory()?;
                let mut names = Vec::new();
                while let Some(entry) = entries.read_directory_entry()? {
                    names.push(entry.name);
                }
                names.sort();
                Ok(names.join(" "))
            }
            Told::InOrder(path) => {
                let entries = open(&path, "rd")?.read_directory()?;
                let mut names = Vec::new();
                while let Some(entry) = entries.read_directory_entry()? {
                    names.push(entry.name);
                }
                Ok(names.join(" "))
            }
            Told::Facts(path) => {
                let (folder, rest) = place(&path)?;
                let found = folder.stat_at(PathFlags::empty(), &rest)?;
                let hash = folder.metadata_hash_at(PathFlags::empty(), &rest)?;
                let seconds = found.data_modification_timestamp.map_or(0, |time| time.seconds);
                Ok(format!("{} {seconds} {} {}.{}", found.size, found.link_count, hash.lower, hash.upper))
            }
            Told::Pour(path) => {
                let stream = open(&path, "r")?.read_via_stream(0)?;
                let mut bytes = Vec::new();
                loop {
                    stream.subscribe().block();
                    match stream.read(1 << 12) {
                        Ok(piece) => bytes.extend(piece),
                        Err(StreamError::Closed) => break,
                        Err(StreamError::LastOperationFailed(_)) => return Err(ErrorCode::Io),
                    }
                }
                Ok(format!("{} bytes", bytes.len()))
            }
            Told::Stat(path) => {
                place(&path).and_then(|(folder, rest)| folder.stat_at(PathFlags::empty(), &rest)).and(ok)
            }
            Told::Readlink(path) => place(&path).and_then(|(folder, rest)| folder.readlink_at(&rest)),
            Told::Link(path, to) => {
                let ((folder, rest), (into, name)) = (place(&path)?, place(&to)?);
                folder.link_at(PathFlags::empty(), &rest, &into, &name).and(ok)
            }
            Told::Symlink(says, path) => {
                place(&path).and_then(|(folder, rest)| folder.symlink_at(&says, &rest)).and(ok)
            }
            Told::Rename(path, to) => {
                let ((folder, rest), (into, name)) = (place(&path)?, place(&to)?);
                folder.rename_at(&rest, &into, &name).and(ok)
            }
            Told::Keep(path, flags) => {
                self.kept = Some(open(&path, &flags)?);
                ok
            }
            Told::ReadKept => read(self.kept.as_ref().ok_or(ErrorCode::BadDescriptor)?),
            Told::WriteKept => self.kept.as_ref().ok_or(ErrorCode::BadDescriptor)?.write(b"written", 0).and(ok),
            _ => Err(ErrorCode::Unsupported),
        }
    }
}

fn read(file: &Descriptor) -> Came {
    let (bytes, _) = file.read(1024, 0)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// As `made a, written a`, with what else is to be known behind.
fn changes(changes: files::Changes) -> String {
    let mut all: Vec<String> =
        changes.all.iter().map(|one| format!("{:?} {}", one.what, one.name).to_lowercase()).collect();
    if changes.lost > 0 {
        all.push(format!("lost {}", changes.lost));
    }
    if changes.is_over {
        all.push("over".to_owned());
    }
    all.join(", ")
}

fn word(error: &FileError) -> String {
    let word = match error {
        FileError::Denied(_) => "denied",
        FileError::Overloaded(_) => "overloaded",
        FileError::NoRoom(_) => "no-room",
        FileError::NotFound(_) => "not-found",
        FileError::Failed(_) => "failed",
    };
    format!("{word}: {error}")
}
