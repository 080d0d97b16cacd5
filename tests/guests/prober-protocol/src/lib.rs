//! What the prober can be told, and what it answers. Plain types, for the guest and for the tests on the host.
//!
//! A message to the prober is one [`Command`] as JSON; its answer is one [`Outcome`] as JSON, but for
//! [`Command::Quiet`] (no body at all) and [`Command::HugeAnswer`] (no JSON). What is no command is answered with the
//! fault `invalid`.
//!
//! How it starts, stops and feels is chosen by configuration values; see [`Behaviour`].

mod behaviour;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use behaviour::{Behaviour, Mode};

/// What to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Answer this.
    Echo(Value),
    /// All of these in one turn; answers the list of their outcomes. A fault or a trap among them ends the turn.
    Do(Vec<Command>),
    /// One of these again and again in one turn; answers a [`Flooded`].
    Times(u64, Box<Command>),
    /// Answer without a body.
    Quiet,
    /// Answer the number of messages that this instance has begun to handle, this one included.
    Count,
    /// Answer a [`Whoami`].
    Whoami,

    /// Read state; `null` where there is none.
    Get(String),
    /// Write state.
    Set {
        /// Under which key.
        key: String,
        /// What.
        value: Value,
    },
    /// Delete state.
    Delete(String),
    /// Add to a counter; answers what it is then.
    Increment {
        /// Of which key.
        key: String,
        /// How much.
        by: u64,
    },
    /// Answer all keys, sorted.
    Keys,
    /// Set so many keys that are not there yet.
    SetMany(u32),
    /// Go through all keys a page at a time, and delete each as it is seen; answers how many there were.
    Prune,
    /// Append to the list in state under the key `record`; answers its length.
    Record(Value),

    /// Send.
    Send {
        /// The address.
        to: String,
        /// The partition key.
        #[serde(default)]
        key: Option<String>,
        /// The message; a command, where a prober is to understand it.
        body: Value,
    },
    /// Call; answers what the one called answered.
    Call {
        /// The address.
        to: String,
        /// The partition key.
        #[serde(default)]
        key: Option<String>,
        /// The message.
        body: Value,
        /// How long to wait, in milliseconds.
        timeout_ms: u64,
    },
    /// Send this many bytes (each an `x`, no JSON).
    SendBytes {
        /// The address.
        to: String,
        /// How many.
        bytes: usize,
    },
    /// Publish this many bytes.
    PublishBytes {
        /// The topic.
        topic: String,
        /// How many.
        bytes: usize,
    },
    /// Send this many bytes to oneself later.
    SendBytesAfter {
        /// After how many milliseconds.
        delay_ms: u64,
        /// How many.
        bytes: usize,
    },
    /// Subscribe to a topic with so many letters, another one each time.
    SubscribeLong(usize),
    /// End the turn with the fault `internal`, whose text has so many letters.
    FailLong(usize),
    /// Publish.
    Publish {
        /// The topic.
        topic: String,
        /// The message.
        body: Value,
    },
    /// Subscribe to this pattern.
    Subscribe(String),
    /// Take the subscription back.
    Unsubscribe(String),
    /// Send to oneself later; answers the timer's number.
    SendAfter {
        /// After how many milliseconds.
        delay_ms: u64,
        /// The message.
        body: Value,
    },
    /// Cancel the timer with this number; answers whether it was still to come.
    Cancel(u64),

    /// Spawn a child; answers its address. This and the four after it are the overseer's: a prober has no children.
    Spawn {
        /// The service whose child it is to be.
        service: String,
        /// Its name.
        name: String,
    },
    /// Stop a child.
    Stop(String),
    /// Monitor a child. What is told is recorded in state under the key `downs`, as a list of
    /// `{child, reason, restarted}`; the reason is `normal`, `stopped`, `killed`, `no-child`, or `crashed/` and the
    /// word for the crash.
    Monitor(String),
    /// Take the monitor of a child back.
    Demonitor(String),
    /// Link with a child.
    Link(String),

    /// End the turn with a fault.
    Fail {
        /// Which.
        fault: FaultKind,
        /// Why.
        #[serde(default)]
        reason: String,
    },
    /// End the instance.
    Trap(Trap),
    /// End the instance by `std::process::exit`.
    Exit(i32),

    /// Compute for this long, in milliseconds by the clock.
    Busy(u64),
    /// Sleep for this long, in milliseconds.
    Sleep(u64),
    /// Wait for one of two timers, of which one is over at once and the other one never; chance says which one, and in
    /// which order they are waited for. Sends which one it was, in the order in which they were made, to this address,
    /// as a [`Command::Record`].
    Race(String),
    /// Take this many MiB, write to every page of them and keep them; the error `out-of-memory` where they are refused.
    Allocate(usize),
    /// This many log lines.
    FloodLog(u64),
    /// This many messages to this address, each a [`Command::Quiet`]; answers a [`Flooded`].
    FloodSend {
        /// The address.
        to: String,
        /// How many.
        messages: u64,
    },
    /// Write state without end, in values of 256 KiB under new keys, until that is refused; answers how many were
    /// written.
    FloodState,
    /// Answer this many bytes (each an `x`, no JSON).
    HugeAnswer(usize),

    /// Write a log line.
    Log {
        /// `trace`, `debug`, `info`, `warn` or `error`.
        level: LogLevel,
        /// The line.
        line: String,
    },
    /// Write a line to standard output.
    Stdout(String),
    /// Write a line to standard error.
    Stderr(String),

    /// Answer the text of a file.
    ReadFile(String),
    /// Do what a file says, which has a command.
    DoFile(String),
    /// Write to a file what this release is called.
    WriteRelease(String),
    /// Write a file.
    WriteFile {
        /// Its path.
        path: String,
        /// What.
        text: String,
    },
    /// Answer the names in a folder, sorted.
    ListFolder(String),
    /// Make a folder.
    MakeFolder(String),
    /// Give a file or a folder another name.
    Rename {
        /// Its path.
        from: String,
        /// Its path then.
        to: String,
    },
    /// Make a symbolic link.
    Symlink {
        /// What it says.
        target: String,
        /// Its own path.
        path: String,
    },
    /// Append so many bytes to a file, which is made where it is not there.
    Append {
        /// Its path.
        path: String,
        /// How many.
        bytes: u64,
    },
    /// Make a file as long as this.
    SetSize {
        /// Its path.
        path: String,
        /// How long, in bytes.
        bytes: u64,
    },
    /// Make up to so many empty files in a folder; answers a [`Held`].
    MakeFiles {
        /// The path of the folder.
        folder: String,
        /// How many.
        count: usize,
    },
    /// Make up to so many folders, each in the one before; answers a [`Held`].
    Nest {
        /// The path of the folder that the first one is in.
        folder: String,
        /// How many.
        count: usize,
    },
    /// Make files of so many bytes until it gets no more, take the name of each away and keep it open; answers a
    /// [`Held`].
    HoldNameless {
        /// The path of each.
        path: String,
        /// How long they are.
        bytes: u64,
    },
    /// Remove a file, or a folder and all that is in it.
    Remove(String),
    /// Give a file a second name.
    HardLink {
        /// Its path.
        of: String,
        /// The other path.
        path: String,
    },
    /// Answer an environment variable; `null` where there is none.
    Env(String),
    /// Answer all environment variables, as an object.
    EnvAll,
    /// Answer the arguments.
    Args,
    /// Connect a TCP socket to an IPv4 address with port, such as `127.0.0.1:80`; answers `true` where it is connected.
    Connect(String),
    /// Send a text to an IPv4 address with port by UDP, and wait for a datagram from there; answers its text.
    Datagram {
        /// The address.
        to: String,
        /// The text.
        text: String,
    },
    /// Make sockets and keep them until that is refused; answers a [`Held`].
    HoldSockets,
    /// Open this file again and again, and keep it open, until that is refused; answers a [`Held`].
    HoldFiles(String),
    /// Take up the file again and again as a stream, and keep the streams, until that is refused; answers a [`Held`].
    HoldStreams(String),
    /// Ask for a clock's pollable again and again, and keep them.
    HoldPollables,
    /// Let go what is kept; answers how much that was.
    LetGo,
    /// Look up a host name; answers the number of addresses.
    Resolve(String),
    /// Answer a [`Clock`].
    Clock,
    /// Answer a random number.
    Random,
    /// Answer one of those that need not be secret.
    InsecureRandom,
    /// Answer the two halves of WASI's seed for hash tables.
    InsecureSeed,
    /// Draw this many random bytes at once; answers how many came.
    RandomBytes(u64),
    /// Answer a configuration value; `null` where there is none.
    Config(String),
}

impl Command {
    /// The message.
    ///
    /// # Example
    ///
    /// ```
    /// use prober_protocol::Command;
    ///
    /// assert_eq!(Command::Get("a".into()).bytes(), br#"{"get":"a"}"#);
    /// ```
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.value().to_string().into_bytes()
    }

    /// The message as a value, to be the body of another command.
    ///
    /// # Example
    ///
    /// ```
    /// use prober_protocol::Command;
    ///
    /// let relay = Command::Send { to: "b".into(), key: None, body: Command::Count.value() };
    /// assert_eq!(relay.bytes(), br#"{"send":{"body":"count","key":null,"to":"b"}}"#);
    /// ```
    #[must_use]
    pub fn value(&self) -> Value {
        // Nothing in a command is without a JSON form: no map keys, no numbers beyond JSON's.
        serde_json::to_value(self).unwrap_or(Value::Null)
    }
}

/// How a turn can fail in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The message makes no sense.
    Invalid,
    /// The answer is no.
    Refused,
    /// Something is not there.
    Unavailable,
    /// Unforeseen.
    Internal,
}

/// How an instance can end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trap {
    /// `panic!`, with the message `told to panic`.
    Panic,
    /// The instruction `unreachable`.
    Unreachable,
    /// An integer divided by zero, by the instruction and not by Rust's check before it.
    DivideByZero,
    /// Memory beyond the linear memory is read.
    OutOfBounds,
    /// A recursion without end.
    StackOverflow,
    /// A loop without end, and without a call of the host.
    EndlessLoop,
    /// Memory is taken, in steps of 1 MiB and touched, until it is refused.
    OutOfMemory,
    /// All of the 4 GiB that a linear memory can have, at once; what is refused ends the instance.
    AllMemory,
    /// Log lines without end.
    EndlessLog,
}

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Every step.
    Trace,
    /// For the developer.
    Debug,
    /// For the operator.
    Info,
    /// Not as it should be.
    Warn,
    /// Failed.
    Error,
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done; `null` where there is nothing to tell.
    Ok(Value),
    /// It was refused, and the prober went on.
    Err(Refusal),
}

/// Which error the prober was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// By name. Sending: `denied`, `no-such-service`, `overloaded`, `too-large`, `stopped`, `unwritable`. Calling: the
    /// same after `not-sent/`, and `timeout`, `deadlock`, `fault/invalid`, `fault/refused`, `fault/unavailable`,
    /// `fault/internal`, `crashed`, `dropped`, `unreadable`. State: `no-state`, `state-denied`, `store`, `unreadable`,
    /// `unwritable`. Files, folders and standard streams: `io/` and the name of Rust's `ErrorKind`. Sockets: `socket/`
    /// and the name of WASI's error code. Memory: `out-of-memory`. Configuration: `config`. Children: `denied`,
    /// `no-such-child`, `taken`, `overloaded`, `deaf`.
    pub name: String,
    /// What it says for people.
    pub text: String,
}

/// What a prober knows of itself and of the message in hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whoami {
    /// Its own address.
    pub address: String,
    /// The message's number.
    pub id: u64,
    /// Who sent it.
    pub sender: Option<String>,
    /// The key it is addressed to.
    pub key: Option<String>,
    /// `send`, `call`, `publish` or `timer`.
    pub delivery: String,
    /// Call: the milliseconds left. Timer: its number.
    pub number: Option<u64>,
    /// Publish: the topic.
    pub topic: Option<String>,
    /// How often the handling was begun before.
    pub attempt: u32,
}

/// What came of a flood of messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flooded {
    /// How many were taken.
    pub sent: u64,
    /// How many were refused.
    pub refused: u64,
    /// The name of the last refusal.
    pub last: Option<String>,
}

/// How much could be held of something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// How much.
    pub held: usize,
    /// By which error the next one was refused: the name of WASI's error code.
    pub refused: String,
}

/// What the clocks say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// Milliseconds since 1970.
    pub wall_ms: u64,
    /// What the monotonic clock says, in nanoseconds.
    pub monotonic_ns: u64,
    /// By how many nanoseconds the monotonic clock moved between two readings.
    pub step_ns: u64,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn commands_read_as_they_are_written() {
        for (text, command) in [
            (r#""count""#, Command::Count),
            (r#"{"do":[{"set":{"key":"a","value":1}},"keys"]}"#, {
                Command::Do(vec![Command::Set { key: "a".into(), value: 1.into() }, Command::Keys])
            }),
            (r#"{"trap":"divide_by_zero"}"#, Command::Trap(Trap::DivideByZero)),
            (r#"{"fail":{"fault":"refused"}}"#, Command::Fail { fault: FaultKind::Refused, reason: String::new() }),
        ] {
            assert_eq!(serde_json::from_str::<Command>(text).unwrap(), command);
            assert_eq!(serde_json::from_slice::<Command>(&command.bytes()).unwrap(), command);
        }
    }

    #[test]
    fn what_is_misspelt_is_refused() {
        for text in [r#""counts""#, r#"{"set":{"key":"a"}}"#, r#"{"send":{"to":"a","bod":1,"body":1}}"#] {
            assert!(serde_json::from_str::<Command>(text).is_err(), "{text}");
        }
    }
}
