//! The keys whose values are not numbers or words of one struct, and all tables of keys as the book shows them.

use toml::Table;

use super::tree::{RootSpec, TopologySettings};
use crate::limits::{FOLDER_BYTES, Limits, NODE_BYTES};
use crate::schema::Way::{Deployment, InPlace, NotRunning, Restart};
use crate::schema::{Key, Schema, Unit, YEAR, markdown, size_text};
use crate::settings::{KeyedRules, Shape, SpawnedRules};
use airssys_rt_shim::supervisor::Backoff;

/// How long a child may take to stop.
pub(super) const SHUTDOWN: Key = Key::told(
    "shutdown",
    "word or time",
    "`\"5s\"`",
    Some(InPlace),
    "how long it may finish its turn and run `stop` before it is killed; `brutal-kill`; `infinity`",
)
.within(Unit::Nanoseconds, 0, YEAR);
pub(super) const INSTANCES: Key =
    Key::told("instances", "count", "`1`", Some(Restart), "the members of a pool").within(Unit::Count, 1, 1_024);
pub(super) const RETRIES: Key = Key::told(
    "retries",
    "count",
    "`0`",
    Some(InPlace),
    "how often a message that crashed the service is tried again before it becomes a dead letter",
)
.within(Unit::Count, 0, 1_000_000);
/// Of a granted folder; its default is that of [`FOLDER_BYTES`].
pub(super) const MAX: Key = Key {
    default: None,
    ..Key::told("max", "size", "", None, "what may be in the folder for a guest to write more; with `read-write` only")
        .within(Unit::Bytes, NODE_BYTES, 1 << 50)
};

const TOP: &[Key] = &[
    Key::told("name", "name", "required", Some(NotRunning), "the name of the mesh, and of its root supervisor"),
    Key::told("settings", "table", "see below", Some(InPlace), "settings of the whole mesh"),
    Key::told("root", "table", "see below", Some(InPlace), "what the root supervisor does when a child ends"),
    Key::told("supervisor", "list of tables", "none", None, "the other supervisors, each `[[supervisor]]`"),
    Key::told("service", "list of tables", "none", None, "the services, each `[[service]]`"),
];

const SUPERVISOR: &[Key] = &[
    Key::told("name", "name", "required", None, "its name"),
    Key::told("parent", "name of a supervisor", "the root", Some(Restart), "whose child it is"),
    Key::told("strategy`, `intensity`, `period`, `backoff`, `auto_shutdown", "", "", Some(InPlace), "as in `[root]`"),
    Key::told(
        "restart",
        "word",
        "`\"permanent\"`",
        Some(InPlace),
        "whether it is started again when it ends: `permanent` (always), `transient` (unless it ended normally), `temporary` (never)",
    ),
    Key::told(
        "shutdown",
        "word or time",
        "`\"infinity\"`",
        Some(InPlace),
        "how it is stopped: `infinity` (it gets the time that its children need), `brutal-kill` (killed at once, its children first), or a time",
    ),
    Key::told(
        "significant",
        "true or false",
        "`false`",
        Some(InPlace),
        "whether its end by itself counts for its parent's `auto_shutdown`. Not with `permanent`, and not under `never`",
    ),
];

pub(crate) const SERVICE: &[Key] = &[
    Key::told("name", "name", "required", None, "its address"),
    Key::told(
        "release",
        "path, or `NAME@VERSION`",
        "required",
        Some(Deployment),
        "the component that serves it: see [how a release is found](#how-a-release-is-found)",
    ),
    Key::told("supervisor", "name of a supervisor", "the root", Some(Restart), "whose child it is"),
    Key::told(
        "restart",
        "word",
        "`\"permanent\"`",
        Some(InPlace),
        "`permanent`, `transient` or `temporary`. A guest that exits with status 0 ends normally; everything else is a failure",
    ),
    Key { range: None, ..SHUTDOWN },
    Key::told("significant", "true or false", "`false`", Some(InPlace), "as for supervisors"),
    INSTANCES,
    Key::told(
        "partitioned",
        "true or false",
        "`false`",
        Some(Restart),
        "a pool with one mailbox for each member, see below. Needs `instances`",
    ),
    Key::told(
        "keyed",
        "table",
        "none",
        Some(InPlace),
        "one actor for each key, see below. Not together with `instances` or `partitioned`. Where it comes or goes, by a restart",
    ),
    Key::told(
        "spawned",
        "table",
        "none",
        Some(InPlace),
        "one actor for each child that a guest spawned, see below. Not together with the three above, nor with `significant`. Where it comes or goes, by a restart",
    ),
    Key::told("mailbox", "table", "see below", Some(InPlace), "its size and what happens when it is full"),
    RETRIES,
    Key::told("limits", "table", "the release's", None, "see [limits](#limits)"),
    Key::told(
        "state",
        "word",
        "`\"memory\"`",
        Some(Restart),
        "where its state is: in `memory`, or `durable`, on disk as well: see [state that lasts](state.md). Not for a stateless pool, nor for a service that is `spawned`. How large it may be is `state` of the [limits](#limits)",
    ),
    Key::told(
        "config",
        "table of texts",
        "empty",
        Some(Deployment),
        "what the component reads through `wasi:config`. Values are texts: `\"3\"`, not `3`",
    ),
    Key::told("grants", "table", "nothing", None, "see [requests and grants](#requests-and-grants)"),
    Key::told(
        "clocks",
        "word or time",
        "`\"real\"`",
        Some(Deployment),
        "what its clocks show: see [clocks and randomness](#clocks-and-randomness)",
    ),
    Key::told(
        "randomness",
        "word or table",
        "`\"real\"`",
        Some(Deployment),
        "where its random numbers come from: see [clocks and randomness](#clocks-and-randomness)",
    ),
];

/// What is asked for, and how it is granted.
pub(crate) const GRANTS: &[Key] = &[
    Key::told("send", "list of patterns", "list of patterns", Some(InPlace), "to send to these addresses"),
    Key::told("call", "list of patterns", "list of patterns", Some(InPlace), "to call these addresses"),
    Key::told("publish", "list of patterns", "list of patterns", Some(InPlace), "to publish on these topics"),
    Key::told("subscribe", "list of patterns", "list of patterns", Some(InPlace), "to subscribe to these topics"),
    Key::told(
        "spawn",
        "list of patterns",
        "list of patterns",
        Some(InPlace),
        "to spawn children under these addresses, and to stop, monitor and link them",
    ),
    Key::told(
        "files",
        "`\"/data\" = \"read\"`",
        "`\"/data\" = { host = \"var/data\", access = \"read\" }`",
        Some(Deployment),
        "a folder of the host, under the path that the guest sees",
    ),
    Key::told(
        "environment",
        "list of names",
        "`{ TZ = \"UTC\" }`",
        Some(Deployment),
        "these environment variables, with the operator's values",
    ),
    Key::told(
        "sockets",
        "list of addresses",
        "list of addresses",
        Some(Deployment),
        "to open TCP connections to these addresses, and to exchange UDP datagrams with them",
    ),
];

const FILES: &[Key] = &[
    Key::told("host", "path", "required", None, "the host's folder"),
    Key::told("access", "word", "`\"read\"`", None, "`read` or `read-write`"),
    MAX,
];

const COMPONENT: &[Key] = &[
    Key::told(
        "name",
        "name",
        "required",
        None,
        "the component; also the file that `airssys build` writes. `airssys build` takes letters, digits, `-` and `_` only",
    ),
    Key::told("version", "text", "required", None, "three numbers, as in semantic versioning"),
    Key::told("description", "text", "empty", None, "for people"),
    Key::told("component", "path", "found, see below", None, "the binary"),
    Key::told(
        "world",
        "text",
        "`\"airssys:actor/actor@0.1.0\"`",
        None,
        "the world of the contract that it is built for. There is this one",
    ),
    Key::told(
        "memory",
        "word",
        "`\"own\"`",
        None,
        "what its guests keep in their memory beside the state: data of their `own`, or a `cache` of what can be computed or read again. By itself, the host replaces no instance whose memory is its own and is not handed over",
    ),
    Key::told(
        "state_schema",
        "count",
        "`0`",
        None,
        "the version of the shape in which it keeps its state. Releases of one service with the same one read what the other wrote",
    ),
    Key::told("lane", "word", "`\"async\"`", None, "how its guest is called: `async`, or `sync`. See below"),
    Key::told("limits", "table", "see below", None, "what it needs"),
    Key::told("requests", "table", "nothing", None, "what it asks for"),
    Key::told("build", "table", "see below", None, "for `airssys build` alone"),
];

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
        ("### `mailbox`", of::<Shape>()),
        ("### `keyed`", of::<KeyedRules>()),
        ("### `spawned`", of::<SpawnedRules>()),
        ("## `Component.toml`", told(COMPONENT)),
        ("## Limits", of::<Limits>()),
        ("## Requests and grants", markdown(["key", "asked for", "granted", "allows"], GRANTS, &Table::new())),
        ("### `files`", markdown(HEADS, FILES, &folder)),
    ]
}
