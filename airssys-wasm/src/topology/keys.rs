//! The keys whose values are not numbers or words of one struct, and all tables of keys as the book shows them.

use airssys_rt_shim::supervisor::Backoff;
use toml::Table;

use super::tree::{RootSpec, TopologySettings};
use crate::limits::{FOLDER_BYTES, Limits, NODE_BYTES};
use crate::schema::{ChangeMode, Key, OutOfRange, Schema, Unit, markdown, size_text};
use crate::settings::{KeyedRules, MailboxShape, SpawnedRules};

/// A row: the key, what the book calls its type and its default, how it is changed while a host runs (`by`), what its
/// number may be (`in`), what it means.
macro_rules! keys {
    ($($key:literal: $kind:literal, $default:literal $(, by $way:ident)? $(, in $unit:ident $ends:expr)?, $meaning:literal;)+) => {
        &[$(
            Key::told($key, $kind, $default, keys!(@some [$(ChangeMode::$way)?]), $meaning)
                $(.within(Unit::$unit, *($ends).start(), *($ends).end()))?
        ),+]
    };
    (@some []) => { None };
    (@some [$value:expr]) => { Some($value) };
}

const TOP: &[Key] = keys! {
    "name": "name", "required", by NotRunning, "the name of the mesh, and of its root supervisor";
    "settings": "table", "see below", by InPlace, "settings of the whole mesh";
    "root": "table", "see below", by InPlace, "what the root supervisor does when a child ends";
    "supervisor": "list of tables", "none", "the other supervisors, each `[[supervisor]]`";
    "service": "list of tables", "none", "the services, each `[[service]]`";
};

const SUPERVISOR: &[Key] = keys! {
    "name": "name", "required", "its name";
    "parent": "name of a supervisor", "the root", by Restart, "whose child it is";
    "strategy`, `intensity`, `period`, `backoff`, `auto_shutdown": "", "", by InPlace, "as in `[root]`";
    "restart": "word", "`\"permanent\"`", by InPlace,
        "whether it is started again when it ends: `permanent` (always), `transient` (unless it ended normally), `temporary` (never)";
    "shutdown": "word or time", "`\"infinity\"`", by InPlace,
        "how it is stopped: `infinity` (it gets the time that its children need), `brutal-kill` (killed at once, its children first), or a time";
    "significant": "true or false", "`false`", by InPlace,
        "whether its end by itself counts for its parent's `auto_shutdown`. Not with `permanent`, and not under `never`";
};

pub(crate) const SERVICE: &[Key] = keys! {
    "name": "name", "required", "its address";
    "release": "path, or `NAME@VERSION`", "required", by Deployment,
        "the component that serves it: see [how a release is found](#how-a-release-is-found)";
    "supervisor": "name of a supervisor", "the root", by Restart, "whose child it is";
    "restart": "word", "`\"permanent\"`", by InPlace,
        "`permanent`, `transient` or `temporary`. A guest that exits with status 0 ends normally; everything else is a failure";
    "shutdown": "word or time", "`\"5s\"`", by InPlace,
        "how long it may finish its turn and run `stop` before it is killed; `brutal-kill`; `infinity`";
    "significant": "true or false", "`false`", by InPlace, "as for supervisors";
    "instances": "count", "`1`", by Restart, in Count 1..=1_024, "the members of a pool";
    "partitioned": "true or false", "`false`", by Restart, "a pool with one mailbox for each member, see below. Needs `instances`";
    "keyed": "table", "none", by InPlace,
        "one actor for each key, see below. Not together with `instances` or `partitioned`. Where it comes or goes, by a restart";
    "spawned": "table", "none", by InPlace,
        "one actor for each child that a guest spawned, see below. Not together with the three above, nor with `significant`. Where it comes or goes, by a restart";
    "mailbox": "table", "see below", by InPlace, "its size and what happens when it is full";
    "retries": "count", "`0`", by InPlace, in Count 0..=1_000_000,
        "how often a message that crashed the service is tried again before it becomes a dead letter";
    "limits": "table", "the release's", "see [limits](#limits)";
    "state": "word", "`\"memory\"`", by Restart,
        "where its state is: in `memory`, or `durable`, on disk as well: see [state that lasts](state.md). Not for a stateless pool, nor for a service that is `spawned`. How large it may be is `state` of the [limits](#limits)";
    "config": "table of texts", "empty", by Deployment, "what the component reads through `wasi:config`. Values are texts: `\"3\"`, not `3`";
    "grants": "table", "nothing", "see [requests and grants](#requests-and-grants)";
    "clocks": "word or time", "`\"real\"`", by Deployment, "what its clocks show: see [clocks and randomness](#clocks-and-randomness)";
    "randomness": "word or table", "`\"real\"`", by Deployment,
        "where its random numbers come from: see [clocks and randomness](#clocks-and-randomness)";
};

/// What is asked for, and how it is granted.
pub(crate) const GRANTS: &[Key] = keys! {
    "send": "list of patterns", "list of patterns", by InPlace, "to send to these addresses";
    "call": "list of patterns", "list of patterns", by InPlace, "to call these addresses";
    "publish": "list of patterns", "list of patterns", by InPlace, "to publish on these topics";
    "subscribe": "list of patterns", "list of patterns", by InPlace, "to subscribe to these topics";
    "spawn": "list of patterns", "list of patterns", by InPlace, "to spawn children under these addresses, and to stop, monitor and link them";
    "files": "`\"/data\" = \"read\"`", "`\"/data\" = { host = \"var/data\", access = \"read\" }`", by Deployment,
        "a folder of the host, under the path that the guest sees";
    "environment": "list of names", "`{ TZ = \"UTC\" }`", by Deployment, "these environment variables, with the operator's values";
    "sockets": "list of addresses", "list of addresses", by Deployment,
        "to open TCP connections to these addresses, and to exchange UDP datagrams with them";
};

pub(crate) const FILES: &[Key] = keys! {
    "host": "path", "required", "the host's folder";
    "access": "word", "`\"read\"`", "`read` or `read-write`";
    "max": "size", "", in Bytes NODE_BYTES..=1 << 50, "what may be in the folder for a guest to write more; with `read-write` only";
};

const COMPONENT: &[Key] = keys! {
    "name": "name", "required", "the component; also the name of the file that a build writes. A build takes letters, digits, `-` and `_` only";
    "version": "text", "required", "three numbers, as in semantic versioning";
    "description": "text", "empty", "for people";
    "component": "path", "found, see below", "the binary";
    "world": "text", "`\"airssys:actor/actor@0.1.0\"`", "the world of the contract that it is built for. There is this one";
    "memory": "word", "`\"own\"`",
        "what its guests keep in their memory beside the state: data of their `own`, or a `cache` of what can be computed or read again. By itself, the host replaces no instance whose memory is its own and is not handed over";
    "state_schema": "count", "`0`",
        "the version of the shape in which it keeps its state. Releases of one service with the same one read what the other wrote";
    "lane": "word", "`\"async\"`", "how its guest is called: `async`, or `sync`. See below";
    "limits": "table", "see below", "what it needs";
    "requests": "table", "nothing", "what it asks for";
    "build": "table", "see below", "for the build alone";
};

/// By what the number of a key of one of these tables is outside of what it may be.
pub(crate) fn check(keys: &[Key], key: &str, is: u64) -> Option<OutOfRange> {
    keys.iter().find(|known| known.key == key).and_then(|known| known.check(is))
}

/// Each table of keys of the two files, in markdown, under the heading that it has in the book's reference.
#[must_use]
pub fn reference() -> Vec<(&'static str, String)> {
    const HEADS: [&str; 4] = ["key", "type", "default", "meaning"];
    fn of<T: Schema + Default>() -> String {
        markdown(HEADS, T::KEYS, &T::default().table())
    }
    let told = |keys: &[Key]| markdown(HEADS, keys, &Table::new());
    let folder = Table::from_iter([("max".to_owned(), size_text(FOLDER_BYTES).into())]);
    vec![
        ("## Top level", told(TOP)),
        ("## `[settings]`", of::<TopologySettings>()),
        ("## `[root]`", of::<RootSpec>()),
        ("### `backoff`", of::<Backoff>()),
        ("## `[[supervisor]]`", told(SUPERVISOR)),
        ("## `[[service]]`", told(SERVICE)),
        ("### `mailbox`", of::<MailboxShape>()),
        ("### `keyed`", of::<KeyedRules>()),
        ("### `spawned`", of::<SpawnedRules>()),
        ("## `Component.toml`", told(COMPONENT)),
        ("## Limits", of::<Limits>()),
        ("## Requests and grants", markdown(["key", "asked for", "granted", "allows"], GRANTS, &Table::new())),
        ("### `files`", markdown(HEADS, FILES, &folder)),
    ]
}
