//! `airssys.toml` as it is written.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::{Spanned, Table, Value};

use airssys_rt_shim::child::{Restart, Shutdown};
use airssys_rt_shim::supervisor::{AutoShutdown, Strategy};

use super::role;
use super::tree::{ServiceNode, SupervisorNode, WrittenFlags, WrittenSettings};
use crate::address::Address;
use crate::capability::{self, Access, Clocks, FileGrant, Given, ProcessGrant, Randomness, given};
use crate::guard::{Guard, WhenDown};
use crate::limits::{HELD, Limits, NODE_BYTES};
use crate::listener::settings::WrittenListening;
use crate::logger::WrittenLog;
use crate::rate::WrittenRate;
use crate::registry::LimitsPatch;
use crate::retry::WrittenRetry;
use crate::schema::{
    Bytes, Count, Humane, Key, MILLISECOND, Number, Schema, Unit, Word, Words, Written, YEAR, parse_time, schema,
};
use crate::settings::{
    Config, Keeping, KeyedRules, MOST_RESTARTS, Multiplicity, Run, SpawnedRules, WrittenBackoff, WrittenKeyed,
    WrittenRecorder, WrittenShape, WrittenSpawned,
};
use crate::wire::{TextOr, Wires, WrittenWire};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Topology {
    pub(super) name: Spanned<String>,
    #[serde(default)]
    pub(super) settings: WrittenSettings,
    #[serde(default)]
    pub(super) root: WrittenFlags,
    #[serde(default, rename = "supervisor")]
    pub(super) supervisors: Vec<Spanned<Supervisor>>,
    #[serde(default, rename = "role")]
    pub(super) roles: Vec<Spanned<Role>>,
    #[serde(default, rename = "service")]
    pub(super) services: Vec<Spanned<Service>>,
    /// How many of those, at their end, are not written, and were made of layers.
    #[serde(skip)]
    pub(super) made: usize,
    #[serde(default, rename = "quota")]
    pub(super) quotas: Vec<WrittenRate>,
    #[serde(default, rename = "layer")]
    pub(super) layers: Vec<Spanned<Layer>>,
    #[serde(default, rename = "retry")]
    pub(super) retries: Vec<WrittenRetry>,
    #[serde(default)]
    pub(super) http: Vec<WrittenListening>,
    #[serde(default, rename = "log")]
    pub(super) logs: Vec<WrittenLog>,
}

schema! {
    of SupervisorNode, written Supervisor {
        /// its name
        name: Spanned<String> => name, needed "required", kind "name";
        /// whose child it is
        parent: Above => name, by Restart, kind "name of a supervisor", default "the root";
        /// as in `[root]`
        strategy: Word<Strategy> => flags.strategy, by InPlace, default "`\"one-for-one\"`";
        /// as in `[root]`
        intensity: Count<u32> => flags.intensity, in 0..=MOST_RESTARTS, by InPlace, default "`1`";
        /// as in `[root]`
        period: Humane => flags.period, in MILLISECOND..=YEAR, by InPlace, default "`\"5s\"`";
        /// as in `[root]`
        backoff: WrittenBackoff => flags.backoff, by InPlace, default "none: at once";
        /// as in `[root]`
        auto_shutdown: Word<AutoShutdown> => flags.auto_shutdown, by InPlace, default "`\"never\"`";
        /// whether it is started again when it ends: `permanent` (always), `transient` (unless it ended normally),
        /// `temporary` (never)
        restart: Word<Restart> => restart, by InPlace, default "`\"permanent\"`";
        /// how it is stopped: `infinity` (it gets the time that its children need), `brutal-kill` (killed at once, its
        /// children first), or a time
        shutdown: Word<Shutdown> => shutdown, by InPlace, kind "word or time", default "`\"infinity\"`";
        /// whether its end by itself counts for its parent's `auto_shutdown`. Not with `permanent`, and not under
        /// `never`
        significant: bool => significant, by InPlace, default "`false`";
    }
}

schema! {
    of ServiceNode, written Service {
        /// its address
        name: Spanned<String> => address, needed "required", kind "name";
        /// the component that serves it: see [how a release is found](#how-a-release-is-found)
        release: Spanned<PathBuf> => named, needed "required", by Deployment, kind "path, or `NAME@VERSION`";
        /// whose child it is
        supervisor: Above => address, by Restart, kind "name of a supervisor", default "the root";
        /// `permanent`, `transient` or `temporary`. A guest that exits with status 0 ends normally; everything else is
        /// a failure
        restart: Word<Restart> => restart, by InPlace, default "`\"permanent\"`";
        /// how long it may finish its turn and run `stop` before it is killed; `brutal-kill`; `infinity`
        shutdown: Word<Shutdown> => shutdown, by InPlace, kind "word or time", default "`\"5s\"`";
        /// as for supervisors
        significant: bool => significant, by InPlace, default "`false`";
        /// the members of a pool
        instances: Count<usize> => multiplicity, in 1..=1_024, by Restart, default "`1`";
        /// a pool with one mailbox for each member, see below. Needs `instances`
        partitioned: bool => multiplicity, by Restart, default "`false`";
        /// one actor for each key, see below. Not together with `instances` or `partitioned`. Where it comes or goes,
        /// by a restart
        keyed: Spanned<WrittenKeyed> => multiplicity, by InPlace, default "none";
        /// one actor for each child that a guest spawned, see below. Not together with the three above, nor with
        /// `significant`. Where it comes or goes, by a restart
        spawned: Spanned<WrittenSpawned> => multiplicity, by InPlace, default "none";
        /// its size and what happens when it is full
        mailbox: WrittenShape => shape, by InPlace, default "see below";
        /// what is kept of what its instances do, so that a crash can be [seen again](capsules.md)
        recorder: WrittenRecorder => recorder, by Deployment, default "none: nothing";
        /// how often a message that crashed the service is tried again before it becomes a dead letter, as long as
        /// somebody is there who [can try it](concepts.md#turns)
        retries: Count<u32> => retries, in 0..=1_000_000, by InPlace, default "`0`";
        /// see [limits](#limits)
        limits: LimitsPatch => own_limits, default "the release's";
        /// where its state is: in `memory`, or `durable`, on disk as well: see [state that lasts](state.md). Not for a
        /// stateless pool, nor for a service that is `spawned`. How large it may be is `state` of the [limits](#limits)
        state: Spanned<Word<Keeping>> => keeping, by Restart, default "`\"memory\"`";
        /// when its program runs, where it is a [command](commands.md): over each `message`, or as a `service`, from
        /// its start on. The latter not together with `keyed` or `partitioned`
        run: Spanned<Word<Run>> => run, by Deployment, default "`\"message\"`";
        /// the arguments of its program, behind its name, which is that of the service: see [commands](commands.md)
        arguments: Vec<Spanned<String>> => arguments, by Deployment, default "none";
        /// what the component reads through `wasi:config`. Values are texts: `"3"`, not `3`; one that nobody else is to
        /// see is `{ value = "...", secret = true }`: see [secrets](secrets.md)
        config: Config => config, by Deployment, kind "table", default "empty";
        /// which service has the functions of each interface that it imports from another one, such as
        /// `{ "acme:shop/pricing" = "pricing" }`: see [`wires`](#wires)
        wires: BTreeMap<String, Spanned<TextOr<WrittenWire>>> => wires, by InPlace, default "none";
        /// which of its functions have no effects, and need not wait behind its turns: `quote`, or with the interface
        /// before it, `acme:shop/pricing#quote`: see [queries](typed.md#queries)
        queries: Vec<Spanned<String>> => queries, by InPlace, default "none";
        /// queries that run beside its turns at a time, of all its keys or children together; one more waits in the
        /// mailbox
        max_queries: Count<usize> => max_queries, in 0..=1_024, by InPlace, default "`4`";
        /// how much it may send and do in a second: the name of a [`[[quota]]`](#quota). What the host sends to it
        /// counts for nobody
        quota: Spanned<String> => quota, by InPlace, kind "name of a quota", default "none: no bound";
        /// by what it tries again what it did and failed: the name of a [`[[retry]]`](#retry)
        retry: Spanned<String> => retry, by InPlace, kind "name of a `[[retry]]`", default "none: never";
        /// see [requests and grants](#requests-and-grants)
        grants: Grants => own_grants, default "nothing";
        /// the [roles](#role) whose grants it has as well
        roles: Vec<Spanned<String>> => roles, by InPlace, kind "list of names", default "none";
        /// whether it may be denied nothing where the mesh is run [to learn the
        /// grants](operating.md#grants-that-are-learned) for it: `false` is for what must never be
        learn: bool => learn, by InPlace, default "`true`";
        /// what its clocks show: see [clocks and randomness](#clocks-and-randomness)
        clocks: Word<Clocks> => baseline.clocks, by Deployment, kind "word or time", default "`\"real\"`";
        /// where its random numbers come from: see [clocks and randomness](#clocks-and-randomness)
        randomness: Chance => baseline.randomness, by Deployment, default "`\"real\"`";
    }
}

schema! {
    of role::Role, written Role {
        /// its name
        name: Spanned<String> => name, needed "required", kind "name";
        /// the roles whose grants it has as well
        includes: Vec<Spanned<String>> => includes, by InPlace, kind "list of names", default "none";
        /// as for services: see [requests and grants](#requests-and-grants)
        grants: Grants => grants, default "nothing";
    }
}

schema! {
    // What the book says of a type is how it is asked for, and of a default, how it is granted.
    of capability::Grants, written #[derive(Default)] Grants {
        /// to send to these addresses
        send: Vec<Spanned<String>> => send, by InPlace, kind "list of patterns", default "list of patterns";
        /// to call these addresses; `"pricing#quote"` is that [function](typed.md#wires-that-make-themselves) alone
        call: Vec<Spanned<String>> => call, by InPlace, kind "list of patterns", default "list of patterns";
        /// to publish on these topics
        publish: Vec<Spanned<String>> => publish, by InPlace, kind "list of patterns", default "list of patterns";
        /// to subscribe to these topics
        subscribe: Vec<Spanned<String>> => subscribe, by InPlace, kind "list of patterns", default "list of patterns";
        /// to spawn children under these addresses, and to stop, monitor and link them
        spawn: Vec<Spanned<String>> => spawn, by InPlace, kind "list of patterns", default "list of patterns";
        /// a folder of the host, under the path that the guest sees
        files: BTreeMap<String, File> => files, by Deployment, kind "`\"/data\" = \"read\"`",
            default "`\"/data\" = { host = \"var/data\", access = \"read\" }`";
        /// these environment variables, with the operator's values; `"$config.KEY"` is that of the configuration,
        /// which may be [secret](secrets.md)
        environment: BTreeMap<String, Spanned<String>> => environment, by Deployment, kind "list of names",
            default "`{ TZ = \"UTC\" }`";
        /// to open TCP connections to these addresses and [names](#sockets-by-name), and to exchange UDP datagrams with
        /// them
        sockets: Vec<Spanned<String>> => sockets, by Deployment, kind "list of addresses", default "list of addresses";
        /// to bind sockets to these [addresses of the machine](#sockets-that-listen), and to listen there
        bind: Vec<Spanned<String>> => bind, by Deployment, kind "list of addresses", default "list of addresses";
        /// to make these [HTTP requests](#http-requests)
        http: Vec<Spanned<String>> => http, by InPlace, kind "list of requests", default "list of requests";
        /// to start these [programs](os.md) of the machine
        processes: BTreeMap<String, Process> => processes, by InPlace, kind "list of names",
            default "`{ convert = { program = \"/usr/bin/convert\" } }`";
    }
}

schema! {
    of FileGrant, written File {
        /// the host's folder
        host: Spanned<PathBuf> => host, needed "required";
        /// `read` (to read and to list), `read-write`, or a list of `read`, `write`, `create`, `delete` and `list`,
        /// each [by itself](topology.md#rights-in-a-folder)
        access: Access => access, default "`\"read\"`";
        /// what may be in the folder for a guest to write more; only where something may be changed
        max: Spanned<Bytes> => max_bytes, in NODE_BYTES..=1 << 50;
        /// until when it is granted, such as `2027-01-01T00:00:00Z`
        until: Spanned<String> => until, default "for good";
    }
}

schema! {
    of ProcessGrant, written Process {
        /// the program, by its whole path
        program: Spanned<PathBuf> => program, needed "required";
        /// its arguments, each in its place: `*` stands for any text without `/`, and `"**"`, as the last one, for all
        /// that are left
        arguments: Vec<Spanned<String>> => arguments, kind "list of patterns", default "none";
        /// the variables that a guest may give it
        environment: Vec<Spanned<String>> => environment, kind "list of names", default "none";
        /// the variables that it has with these values, whatever a guest says
        variables: BTreeMap<String, Spanned<String>> => variables, default "none";
        /// its working folder, where a guest does not name one of those that it is granted
        folder: Spanned<PathBuf> => folder, default "`/`";
        /// the address space of each of its processes
        memory: Bytes => memory_bytes, in 1 << 20..=1 << 50;
        /// how long each of its processes may compute, rounded up to seconds
        cpu: Humane => cpu, in MILLISECOND..=YEAR;
        /// files that each of its processes may have open
        files: Count<u64> => files, in 3..=1_000_000;
        /// how many of it may run at a time for the service
        at_a_time: Count<usize> => at_a_time, in 1..=100_000;
        /// how long it may run
        time: Humane => time, in MILLISECOND..=YEAR;
        /// what may be read of its standard output and its standard error together
        output: Bytes => output_bytes, in 0..=HELD;
        /// until when it is granted, such as `2027-01-01T00:00:00Z`
        until: Spanned<String> => until, default "for good";
    }
}

/// The longest that an answer of a layer is waited for, in nanoseconds: an hour.
const LONGEST_ANSWER: u64 = 3_600 * 1_000 * MILLISECOND;

schema! {
    of Guard, written Layer {
        /// the service that it is: one whose component exports `airssys:actor/layer`. It has one actor, or is a pool
        /// with one mailbox. This or `component`
        service: Spanned<String> => service, kind "name of a service", default "see `component`";
        /// in place of `service`, the component that it is, as a `release` of a service. There is a service for it
        /// then, which starts before those beside it
        component: Spanned<OfService<PathBuf>> => service, by Deployment, kind "path, or `NAME@VERSION`",
            default "see `service`";
        /// with `component`, the name of its service
        name: Spanned<OfService<String>> => service, by Restart, kind "name", default "that of the file or the release";
        /// with `component`, as for services
        supervisor: OfService<Above> => service, by Restart, kind "name of a supervisor", default "the root";
        /// with `component`, as for services
        instances: OfService<Count<usize>> => service, by Restart, kind "count", default "`1`";
        /// with `component`, as for services
        mailbox: OfService<WrittenShape> => service, by InPlace, kind "table", default "as for services";
        /// with `component`, see [limits](#limits)
        limits: OfService<LimitsPatch> => service, kind "table", default "the release's";
        /// with `component`, as for services
        config: OfService<Config> => service, by Deployment, kind "table", default "empty";
        /// with `component`, see [requests and grants](#requests-and-grants)
        grants: OfService<Grants> => service, kind "table", default "nothing";
        /// with `component`, as for services
        roles: OfService<Vec<Spanned<String>>> => service, by InPlace, kind "list of names", default "none";
        /// what it is asked about: `send`, `call`, `invoke`, or all three by `messages`; `file-open` and the like, or
        /// `files`; `socket-bind`, `socket-accept`, `socket-connect`, `socket-send`, or `sockets`; `lookup`; `http`.
        /// What nobody can wait for is not among them
        applies_to: Vec<Spanned<String>> => applies_to, by InPlace, kind "list of words", default "`[\"messages\"]`";
        /// the services that it guards: what they do, and what is sent to them
        guards: Vec<Spanned<String>> => guards, by InPlace, kind "list of names", default "all that are no layers";
        /// of several layers that are components, the one with the highest is asked first; of equal ones the first in
        /// the file
        priority: Count<u32> => priority, in 0..=1_000, by InPlace, default "`100`";
        /// what becomes of what it guards while it is down: it is to `wait`, `refuse` it, or `allow` it
        when_down: Word<WhenDown> => when_down, by InPlace, default "`\"refuse\"`";
        /// how long its answer may take; then it counts as down
        timeout: Humane => timeout, in MILLISECOND..=LONGEST_ANSWER, by InPlace, default "`\"1s\"`";
        /// whether it is shown what is sent and written
        bodies: bool => bodies, by InPlace, default "`false`";
        /// which of its functions are called: `before`, `after`, `on-error`
        hooks: Vec<Spanned<String>> => hooks, by InPlace, kind "list of words", default "`[\"before\"]`";
    }
}

/// What is written of a layer, and is of the service that is made for it. So it is written back there.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(transparent)]
pub(crate) struct OfService<W>(pub(super) W);

impl<W, F> Written<F> for OfService<W> {
    const KIND: &'static str = "key of a service";

    fn put(&self, _field: &mut F) {}

    fn value(_field: &F) -> Option<Value> {
        None
    }
}

/// The supervisor above. It is no field: where a node stands in the tree says it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Above(pub(super) Spanned<String>);

impl<F> Written<F> for Above {
    const KIND: &'static str = "name";

    fn put(&self, _field: &mut F) {}

    fn value(_field: &F) -> Option<Value> {
        None
    }
}

/// An address is made of its name where its place is known, for the error.
impl Written<Address> for String {
    const KIND: &'static str = "name";

    fn put(&self, _field: &mut Address) {}

    fn value(field: &Address) -> Option<Value> {
        Some(field.as_str().into())
    }
}

/// The keys that say how many actors there are contradict each other, so who has the file looks at all of them: what
/// each one says of it, and for which there is anything to say.
macro_rules! of_multiplicity {
    ($($kind:ty: $type:ty, $pattern:pat => $part:expr;)+) => {
        $(impl Written<Multiplicity> for $kind {
            const KIND: &'static str = <$kind as Written<$type>>::KIND;
            const UNIT: Option<Unit> = <$kind as Written<$type>>::UNIT;

            fn put(&self, _field: &mut Multiplicity) {}

            fn value(field: &Multiplicity) -> Option<Value> {
                let $pattern = field else { return None };
                <$kind as Written<$type>>::value($part)
            }

            fn numbers(field: &Multiplicity, key: &'static Key, all: &mut Vec<Number>) {
                let $pattern = field else { return };
                <$kind as Written<$type>>::numbers($part, key, all);
            }
        })+
    };
}

of_multiplicity! {
    Count<usize>: usize, (Multiplicity::Stateless { instances } | Multiplicity::Partitioned { instances }) => instances;
    bool: bool, Multiplicity::Partitioned { .. } => &true;
    WrittenKeyed: KeyedRules, Multiplicity::Keyed(rules) => rules;
    WrittenSpawned: SpawnedRules, Multiplicity::Spawned(rules) => rules;
}

impl Written<LimitsPatch> for LimitsPatch {
    const KIND: &'static str = "table";

    fn put(&self, field: &mut Self) {
        field.clone_from(self);
    }

    fn value(field: &Self) -> Option<Value> {
        let mut limits = Limits::default();
        field.apply(&mut limits);
        Some(limits.table().into_iter().filter(|(key, _)| field.names(key)).collect::<Table>().into())
    }
}

/// Where each of them leads is told with its place where it is wrong, by those who have the file: they put them there.
impl Written<Wires> for BTreeMap<String, Spanned<TextOr<WrittenWire>>> {
    const KIND: &'static str = "table";

    fn put(&self, _field: &mut Wires) {}

    fn value(field: &Wires) -> Option<Value> {
        Some(field.iter().map(|(of, wire)| (of.clone(), wire.value())).collect::<Table>().into())
    }
}

/// Variables with their values. Whether they can be such, those look who have the file.
impl Written<BTreeMap<String, Given<String>>> for BTreeMap<String, Spanned<String>> {
    const KIND: &'static str = "table of texts";

    fn put(&self, _field: &mut BTreeMap<String, Given<String>>) {}

    fn value(field: &BTreeMap<String, Given<String>>) -> Option<Value> {
        Some(field.iter().map(|(name, given)| (name.clone(), given.what.as_str().into())).collect::<Table>().into())
    }
}

/// When something ends. Whether it is a time, those look who have the file.
impl Written<Option<SystemTime>> for String {
    const KIND: &'static str = "time";

    fn put(&self, _field: &mut Option<SystemTime>) {}

    fn value(field: &Option<SystemTime>) -> Option<Value> {
        field.map(|time| given::time_text(time).into())
    }
}

impl Written<Self> for Access {
    const KIND: &'static str = "word or list";

    fn put(&self, field: &mut Self) {
        *field = *self;
    }

    fn value(field: &Self) -> Option<Value> {
        Value::try_from(field).ok()
    }
}

/// Folders by the path that the guest sees. Whether each is there, those look who have the file.
impl Written<BTreeMap<String, FileGrant>> for BTreeMap<String, File> {
    const KIND: &'static str = "table";

    fn put(&self, _field: &mut BTreeMap<String, FileGrant>) {}

    fn value(field: &BTreeMap<String, FileGrant>) -> Option<Value> {
        let granted = |file: &FileGrant| {
            let mut table = file.table();
            // Nobody writes there, so there is nothing to bound.
            table.retain(|key, _| key != "max" || file.access.changes());
            Value::from(table)
        };
        Some(field.iter().map(|(guest, file)| (guest.clone(), granted(file))).collect::<Table>().into())
    }

    fn numbers(field: &BTreeMap<String, FileGrant>, key: &'static Key, all: &mut Vec<Number>) {
        for (guest, file) in field {
            all.extend(file.numbers().into_iter().map(|number| number.within(guest).within(key.key)));
        }
    }
}

/// Programs by their names. What is wrong with one, those find who have the file.
impl Written<BTreeMap<String, ProcessGrant>> for BTreeMap<String, Process> {
    const KIND: &'static str = "table";

    fn put(&self, _field: &mut BTreeMap<String, ProcessGrant>) {}

    fn value(field: &BTreeMap<String, ProcessGrant>) -> Option<Value> {
        Some(field.iter().map(|(name, one)| (name.clone(), Value::from(one.table()))).collect::<Table>().into())
    }

    fn numbers(field: &BTreeMap<String, ProcessGrant>, key: &'static Key, all: &mut Vec<Number>) {
        for (name, one) in field {
            all.extend(one.numbers().into_iter().map(|number| number.within(name).within(key.key)));
        }
    }
}

/// A path that may be left out.
impl Written<Option<PathBuf>> for PathBuf {
    const KIND: &'static str = "path";

    fn put(&self, field: &mut Option<PathBuf>) {
        *field = Some(self.clone());
    }

    fn value(field: &Option<PathBuf>) -> Option<Value> {
        field.as_ref().map(|path| path.to_string_lossy().into_owned().into())
    }
}

impl Written<Self> for PathBuf {
    const KIND: &'static str = "path";

    fn put(&self, field: &mut Self) {
        field.clone_from(self);
    }

    /// As an absolute one. What is no UTF-8 was refused before, where it is to be read again.
    fn value(field: &Self) -> Option<Value> {
        Some(super::write::absolute(field).to_string_lossy().into_owned().into())
    }
}

impl Words for Restart {
    const WHAT: &'static str = "restart type";
    const LIST: &'static str = "permanent, transient, temporary";
    const ALL: &'static [(&'static str, Self)] =
        &[("permanent", Self::Permanent), ("transient", Self::Transient), ("temporary", Self::Temporary)];
}

impl Words for Shutdown {
    const WHAT: &'static str = "shutdown";
    const LIST: &'static str = "brutal-kill, infinity, or a length of time such as \"5s\"";
    const ALL: &'static [(&'static str, Self)] = &[("brutal-kill", Self::BrutalKill), ("infinity", Self::Infinity)];

    fn other(text: &str) -> Option<Self> {
        parse_time(text).ok().map(Self::Timeout)
    }

    fn time(self) -> Option<Duration> {
        if let Self::Timeout(timeout) = self { Some(timeout) } else { None }
    }
}

impl Words for Clocks {
    const WHAT: &'static str = "setting of the clocks";
    const LIST: &'static str = "real, none, or a step above zero such as \"1s\"";
    const ALL: &'static [(&'static str, Self)] = &[("real", Self::Real), ("none", Self::None)];

    fn other(text: &str) -> Option<Self> {
        parse_time(text).ok().filter(|step| !step.is_zero()).map(Self::Coarse)
    }

    fn time(self) -> Option<Duration> {
        if let Self::Coarse(step) = self { Some(step) } else { None }
    }
}

impl Words for Randomness {
    const WHAT: &'static str = "setting of the randomness";
    const LIST: &'static str = "real, none, or a table such as { seed = 42 }";
    const ALL: &'static [(&'static str, Self)] = &[("real", Self::Real), ("none", Self::None)];
}

/// Randomness: a word, or a table with a seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Chance(Randomness);

impl Written<Randomness> for Chance {
    const KIND: &'static str = "word or table";

    fn put(&self, field: &mut Randomness) {
        *field = self.0;
    }

    fn value(field: &Randomness) -> Option<Value> {
        let Randomness::Seeded(seed) = *field else { return Some(field.text().into()) };
        // The parser takes whole numbers up to the largest that TOML has, so this is one of those.
        let seed = i64::try_from(seed).unwrap_or(i64::MAX);
        Some(Table::from_iter([("seed".to_owned(), seed.into())]).into())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Seed {
    seed: u64,
}

impl<'de> Deserialize<'de> for Chance {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Chance;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(Randomness::LIST)
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Chance, E> {
                Word::deserialize(serde::de::value::StrDeserializer::new(word))
                    .map(|Word(randomness)| Chance(randomness))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Chance, A::Error> {
                let Seed { seed } = Seed::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Chance(Randomness::Seeded(seed)))
            }
        }
        deserializer.deserialize_any(Either)
    }
}
