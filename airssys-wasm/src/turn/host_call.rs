//! What a guest asks of its host, and what it is told: plain values, which the door compares, and which can be written
//! down.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::awaited::Awaited;
use super::chance::NoRandomness;
pub(super) use super::octets;
use super::outside::{Change, Look, Said};
use crate::error::{CallError, SendError, SupervisionError};
use crate::limits::REASON_BYTES;
use crate::message::Answer;
use crate::operation::{Operation, Operations};
use crate::shown::beginning;
use crate::typed::FunctionType;

/// Makes of the table of calls what a call is, what it takes, whose it is and how it is told.
macro_rules! calls {
    (
        $turn:ident;
        $(
            $(#[$doc:meta])*
            $name:ident $({ $($(#[$with:meta])* $field:ident: $type:ty),+ })?
            $scope:ident $(($operation:ident: $target:expr))?,
            ($($told:tt)+),
            $lane:ident $kind:ident $(($done:expr))?;
        )*
    ) => {
        /// Something that a guest asks of its host. Its strings and bodies are those of the guest, as it wrote them.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub(crate) enum HostCall {
            $($(#[$doc])* $name $({ $($(#[$with])* $field: $type),+ })?,)*
        }

        #[allow(unused_variables, reason = "an entry names of its fields those that it needs")]
        impl HostCall {
            /// What it takes to be kept, in bytes.
            pub(crate) fn bytes(&self) -> usize {
                match self {
                    $(Self::$name $({ $($field),+ })? => 0 $($(+ $field.kept())+)?,)*
                }
            }

            /// Who has to do with it.
            pub(super) fn scope(&self) -> Scope {
                match self {
                    $(Self::$name { .. } => Scope::$scope,)*
                }
            }

            /// The kind of reply that answers it.
            pub(super) fn kind(&self) -> Kind {
                match self {
                    $(Self::$name { .. } => Kind::$kind,)*
                }
            }

            /// What of it the layers are asked about here, since nothing else asks them: what a guest has for itself.
            #[inline]
            pub(super) fn of_its_own(&self) -> Operations {
                match self {
                    $(Self::$name { .. } => match Scope::$scope {
                        Scope::Own => Operations::NONE$(.and(Operation::$operation))?,
                        _ => Operations::NONE,
                    },)*
                }
            }

            /// What is done, and to whom or with what; none where no layer has to do with it.
            pub(super) fn permission(&self) -> Option<(Operation, Cow<'_, str>)> {
                match self {
                    $(Self::$name $({ $($field),+ })? => None$(.or(Some((Operation::$operation, $target.into()))))?,)*
                }
            }
        }

        #[allow(unused_variables, reason = "an entry names of its fields those that it needs")]
        impl fmt::Display for HostCall {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$name $({ $($field),+ })? => write!(f, $($told)+),)*
                }
            }
        }
    };
}

/// The table of calls, given to the macro that makes something of it. An entry a call: its fields; whose it is, with
/// what is done and the target, which the layers are asked about; how it is told; and what answers it: `now`, or where
/// it `waits`, or `may_wait`; or `elsewhere`, in the engine. How it is carried out is written here and done in
/// `carry_out.rs`, which knows the turn.
macro_rules! table {
    ($make:ident) => {
        $make! { turn;
            Send { to: String, key: Option<String>, #[serde(with = "octets")] body: Bytes }
                Mesh(Send: to), ("send {} to {}", beginning(body), At(to, key)),
                may_wait Sent(turn.send(&to, key.as_deref(), body));
            Call { to: String, key: Option<String>, #[serde(with = "octets")] body: Bytes, timeout_ms: u64 }
                Mesh(Call: to), ("call {} with {}", At(to, key), beginning(body)),
                waits Answer(turn.call(&to, key.as_deref(), body, timeout_ms));
            Invoke { to: String, name: Option<String>, #[serde(with = "shared")] function: Arc<FunctionType>, #[serde(with = "octets")] body: Bytes }
                Mesh(Invoke: to), ("call {} of {to} with {}", function.path(), beginning(body)),
                waits Answer(turn.invoke(&to, name.as_deref(), &function, body));
            /// Drops a handle of another's resource; nobody waits for that.
            Release { to: String, #[serde(with = "shared")] function: Arc<FunctionType>, #[serde(with = "octets")] body: Bytes }
                Mesh, ("call {} of {to} with {}", function.path(), beginning(body)),
                now Nothing(turn.release(&to, &function, body));
            Publish { topic: String, #[serde(with = "octets")] body: Bytes }
                Mesh(Publish: topic), ("publish {} on {topic}", beginning(body)), now Sent(turn.publish(topic, body));
            Subscribe { pattern: String }
                Mesh(Subscribe: pattern), ("subscribe to {pattern}"), now Sent(turn.subscribe(&pattern));
            Unsubscribe { pattern: String }
                Mesh, ("unsubscribe from {pattern}"), now Sent(turn.unsubscribe(&pattern));
            SendAfter { delay_ms: u64, #[serde(with = "octets")] body: Bytes }
                Mesh, ("send itself {} after {:?}", beginning(body), Duration::from_millis(*delay_ms)),
                now Timer(turn.send_after(delay_ms, body));
            Cancel { timer: u64 }
                Mesh, ("cancel the timer {timer}"), now Cancelled(turn.cancel(timer));
            SelfAddress
                Own, ("ask for its address"), now Text(Some(turn.identity.address().as_str().to_owned()));
            Spawn { service: String, name: String }
                Mesh(Spawn: format!("{service}/{name}")), ("spawn {service}/{name}"), now Child(turn.spawn(&service, &name));
            Stop { child: String }
                Mesh(Stop: child), ("stop {child}"), now Child(turn.stop(&child).map(|()| child));
            Monitor { child: String }
                Mesh(Monitor: child), ("monitor {child}"), now Child(turn.monitor(&child).map(|()| child));
            Demonitor { child: String }
                Mesh(Monitor: child), ("demonitor {child}"), now Child(turn.demonitor(&child).map(|()| child));
            Link { child: String }
                Mesh(Link: child), ("link to {child}"), now Child(turn.link(&child).map(|()| child));
            /// Opens the bucket of this name; the others are about the one bucket that there is.
            OpenState { name: String }
                Own, ("open the state {name:?}"), now Kept(turn.open_state(&name));
            GetState { key: String }
                Own(StateRead: key), ("get {key}"), now Value(turn.get_state(&key));
            SetState { key: String, #[serde(with = "octets")] value: Bytes }
                Own(StateWrite: key), ("set {key} to {}", beginning(value)), now Kept(turn.set_state(&key, value));
            DeleteState { key: String }
                Own(StateWrite: key), ("delete {key}"), now Kept(turn.delete_state(&key));
            IncrementState { key: String, by: u64 }
                Own(StateWrite: key), ("increment {key} by {by}"), now Number(turn.increment_state(&key, by));
            StateKeys { cursor: Option<u64> }
                Own(StateRead: ""), ("list its keys from {}", cursor.unwrap_or(0)), now Keys(turn.state_keys(cursor));
            Config { key: String }
                Own(Config: key), ("read the configuration of {key}"), now Text(turn.identity.configured(&key));
            AllConfig
                Own(Config: ""), ("read its configuration"), now Pairs(turn.all_config());
            Log { level: Level, line: String }
                Own, ("log {}", beginning(line.as_bytes())), now Nothing(turn.log(level, &line));
            WallClock
                Own(Clock: "wall"), ("ask for the time"), now Time(turn.time.wall());
            MonotonicClock
                Own(Clock: "monotonic"), ("ask how long it has been"), now Nanoseconds(turn.time.monotonic());
            RandomBytes { count: u64 }
                Own(Random: ""), ("draw {count} random bytes"), now BytesDrawn(turn.chance.bytes(count));
            RandomNumber
                Own(Random: ""), ("draw a random number"), now NumberDrawn(turn.chance.number());
            /// The variables of its environment.
            Environment
                Own(Environment: ""), ("read its environment"), now Pairs(turn.read_environment());
            /// Makes an HTTP request: whether it may. What becomes of it goes by the guest's own streams.
            Http { method: String, scheme: String, authority: String, path: String }
                Mesh, ("request {method} {scheme}://{authority}{path}"),
                now Allowed(turn.may_request(&method, &scheme, &authority, &path));
            /// The folders that it is granted, by their names.
            Folders
                Own, ("ask for its folders"), elsewhere Names;
            /// Asks something of what is outside: a file, or a body of HTTP.
            Look { at: String, look: Look }
                Outside, ("{}", look.told(at)), elsewhere Said;
            /// Changes something there.
            Change { at: String, change: Change }
                Outside, ("{}", change.told(at)), elsewhere Said;
            /// Something that no recorder has: what it is told of that is not known again.
            Unrecorded { what: String }
                Order, ("use {what}, which no recorder has"), elsewhere Nothing;
            /// Which of these are ready; waits until one is.
            Poll { of: Vec<Awaited> }
                Order, ("wait for one of {}", of.len()), elsewhere Ready;
            /// Waits until it is ready.
            Block { on: Awaited }
                Order, ("wait"), elsewhere Nothing;
            IsReady { is: Awaited }
                Order, ("ask whether something is ready"), elsewhere Readiness;
        }
    };
}
pub(super) use table;

table!(calls);

/// Who has to do with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Somebody else sees it, or decides what it is told.
    Mesh,
    /// Nobody else: its state, its configuration, its log, and what it has of time and chance.
    Own,
    /// A file or somebody who is no service: it is told what these said, and what it changes is compared.
    Outside,
    /// Nobody else, and what it is told is not its choice: in which order what it waits for becomes ready.
    Order,
}

/// How loud a guest's line in the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// Makes of the table of replies what a reply is, and for each kind a function that takes it apart.
macro_rules! define_replies {
    ($($(#[$doc:meta])* $name:ident: $kind:ident($(#[$with:meta])? $value:ty);)*) => {
        /// What a guest is told.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub(crate) enum Reply {
            $($(#[$doc])* $kind($(#[$with])? $value),)*
            /// Nothing was done: it would have to wait, and this turn may not.
            Waits,
            /// Nothing was done: a layer says no, and why.
            Refused(String),
            /// The turn was over before anybody was told. It stands in what is written down, and nowhere else.
            Unanswered,
        }

        /// The kinds of replies.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Kind {
            $($kind,)*
        }

        impl Reply {
            $(
                #[inline]
                pub(crate) fn $name(self) -> Result<$value, WrongKind> {
                    match self {
                        Self::$kind(value) => Ok(value),
                        other => Err(WrongKind(other)),
                    }
                }
            )*
        }
    };
}

/// The table of replies, given to the macro that makes something of it. An entry a kind: the function that takes it
/// apart, and what it has.
macro_rules! replies {
    ($make:ident) => {
        $make! {
            /// It is held back until the commit, or done.
            sent: Sent(Result<(), SendError>);
            answer: Answer(#[serde(with = "answer_octets")] Answer);
            timer: Timer(Result<u64, SendError>);
            cancelled: Cancelled(bool);
            /// About the child of this address.
            child: Child(Result<String, SupervisionError>);
            /// The state was opened, or written to.
            kept: Kept(Result<(), StateRefused>);
            value: Value(#[serde(with = "optional_octets")] Option<Bytes>);
            number: Number(Result<u64, StateRefused>);
            /// A page of keys, and the cursor of the next one.
            keys: Keys(Result<(Vec<String>, Option<u64>), StateRefused>);
            text: Text(Option<String>);
            pairs: Pairs(Vec<(String, String)>);
            /// Since 1970.
            time: Time(Duration);
            nanoseconds: Nanoseconds(u64);
            bytes_drawn: BytesDrawn(Result<Vec<u8>, NoRandomness>);
            number_drawn: NumberDrawn(Result<u64, NoRandomness>);
            allowed: Allowed(bool);
            /// Of what was waited for, by its place.
            ready: Ready(Vec<u32>);
            readiness: Readiness(bool);
            nothing: Nothing(());
            names: Names(Vec<String>);
            /// What came of it outside; the word of an error.
            said: Said(Result<Said, String>);
        }
    };
}
pub(super) use replies;

replies!(define_replies);

/// Why nothing was done about the state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub(crate) enum StateRefused {
    #[error("the turns of this service have no state")]
    NoState,
    #[error("a guest has its own state alone")]
    NotItsOwn,
    #[error("{0}")]
    Failed(String),
}

/// A reply of a kind that does not answer what was asked.
#[derive(Debug)]
pub(crate) struct WrongKind(Reply);

impl fmt::Display for WrongKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            // What has no error to answer with ends the turn with this.
            Reply::Refused(why) => f.write_str(why),
            other => write!(f, "the host answered with {other:?}, which is no answer to what was asked"),
        }
    }
}

impl std::error::Error for WrongKind {}

impl HostCall {
    /// Whether the other one asks the same. For how long it would wait for an answer makes no difference, nor in which
    /// order it names what it waits for.
    pub(crate) fn asks_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Call { to, key, body, timeout_ms: _ },
                Self::Call { to: other_to, key: other_key, body: other_body, timeout_ms: _ },
            ) => (to, key, body) == (other_to, other_key, other_body),
            (Self::Poll { of }, Self::Poll { of: other_of }) => {
                let sorted = |of: &[Awaited]| {
                    let mut of = of.to_vec();
                    of.sort_unstable();
                    of
                };
                of == other_of || of.len() == other_of.len() && sorted(of) == sorted(other_of)
            }
            (one, other) => one == other,
        }
    }
}

/// A goal as it is told.
struct At<'a>(&'a str, &'a Option<String>);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(key) => write!(f, "{} with the key {key}", self.0),
            None => f.write_str(self.0),
        }
    }
}

/// What a field of a call takes to be kept, in bytes; a number nothing that counts.
trait Kept {
    fn kept(&self) -> usize {
        0
    }
}

impl Kept for u64 {}
impl Kept for Option<u64> {}
impl Kept for Level {}
impl Kept for Awaited {}

impl Kept for Look {
    fn kept(&self) -> usize {
        self.bytes()
    }
}

impl Kept for Change {
    fn kept(&self) -> usize {
        self.bytes()
    }
}

impl Kept for Vec<Awaited> {
    fn kept(&self) -> usize {
        size_of_val(&self[..])
    }
}

impl Kept for String {
    fn kept(&self) -> usize {
        self.len()
    }
}

impl Kept for Option<String> {
    fn kept(&self) -> usize {
        self.as_ref().map_or(0, String::len)
    }
}

/// Shared with all that call it.
impl Kept for Arc<FunctionType> {}

impl Kept for Bytes {
    fn kept(&self) -> usize {
        self.len()
    }
}

impl Reply {
    /// Whether it says that this may not be done.
    pub(crate) fn is_denied(&self) -> bool {
        matches!(
            self,
            Self::Sent(Err(SendError::Denied(_)))
                | Self::Answer(Err(CallError::NotSent(SendError::Denied(_))))
                | Self::Child(Err(SupervisionError::NotSent(SendError::Denied(_))))
                | Self::Allowed(false)
        )
    }

    /// What it takes to be kept, in bytes: of what others say. What the host says itself is short.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Answer(Ok(answer)) => answer.as_ref().map_or(0, Bytes::len),
            Self::Answer(Err(_)) => REASON_BYTES,
            Self::Child(Ok(child)) => child.len(),
            Self::Ready(places) => size_of_val(&places[..]),
            Self::Value(Some(value)) => value.len(),
            Self::Text(Some(text)) => text.len(),
            Self::Keys(Ok((keys, _))) => keys.iter().map(|key| key.len() + size_of::<String>()).sum(),
            Self::Pairs(pairs) => pairs.iter().map(|(key, value)| key.len() + value.len()).sum(),
            Self::BytesDrawn(Ok(bytes)) => bytes.len(),
            Self::Names(names) => names.iter().map(String::len).sum(),
            Self::Said(Ok(said)) => said.bytes(),
            Self::Said(Err(word)) => word.len(),
            _ => 0,
        }
    }

    /// What somebody is told who asks the same in other words: by name what is ready, where that stands at other
    /// places.
    pub(super) fn in_words_of(self, asker: &HostCall, asked: &HostCall) -> Self {
        match (self, asker, asked) {
            (Self::Ready(ready), HostCall::Poll { of }, HostCall::Poll { of: asked_of }) if of != asked_of => {
                let names: Vec<&Awaited> =
                    ready.iter().filter_map(|place| asked_of.get(usize::try_from(*place).ok()?)).collect();
                let is_ready = |(place, name): (u32, &Awaited)| names.contains(&name).then_some(place);
                Self::Ready((0..).zip(of).filter_map(is_ready).collect())
            }
            (told, ..) => told,
        }
    }
}

/// What is shared as what it is.
pub(super) mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::typed::FunctionType;

    /// One that may be none.
    pub(in crate::turn) mod optional {
        use std::sync::Arc;

        use serde::{Deserialize, Deserializer, Serialize, Serializer};

        use crate::typed::FunctionType;

        pub(in crate::turn) fn serialize<S: Serializer>(
            function: &Option<Arc<FunctionType>>,
            to: S,
        ) -> Result<S::Ok, S::Error> {
            function.as_deref().serialize(to)
        }

        pub(in crate::turn) fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<Arc<FunctionType>>, D::Error> {
            Ok(Option::<FunctionType>::deserialize(from)?.map(Arc::new))
        }
    }

    pub(super) fn serialize<S: Serializer>(function: &Arc<FunctionType>, to: S) -> Result<S::Ok, S::Error> {
        (**function).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<FunctionType>, D::Error> {
        FunctionType::deserialize(from).map(Arc::new)
    }
}

/// Bytes that may be none.
pub(super) mod optional_octets {
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::octets::Octets;

    pub(in crate::turn) fn serialize<S: Serializer>(of: &Option<Bytes>, to: S) -> Result<S::Ok, S::Error> {
        of.clone().map(Octets).serialize(to)
    }

    pub(in crate::turn) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Bytes>, D::Error> {
        Ok(Option::<Octets>::deserialize(from)?.map(|octets| octets.0))
    }
}

/// The bytes of an answer.
mod answer_octets {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::octets::Octets;
    use crate::error::CallError;
    use crate::message::Answer;

    pub(super) fn serialize<S: Serializer>(of: &Answer, to: S) -> Result<S::Ok, S::Error> {
        of.as_ref().map(|body| body.clone().map(Octets)).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Answer, D::Error> {
        Ok(Result::<Option<Octets>, CallError>::deserialize(from)?.map(|body| body.map(|octets| octets.0)))
    }
}

#[cfg(test)]
mod tests;
