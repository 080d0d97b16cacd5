//! The keys that are tables of others, those of a description alone, and all tables of keys as the book shows them.

use airssys_rt_shim::supervisor::Backoff;
use toml::Table;

use super::role::Role;
use super::tree::{RootSpec, ServiceNode, SupervisorNode, TopologySettings};
use crate::capability::{FileGrant, Grants, ProcessGrant};
use crate::guard::Guard;
use crate::limits::{FOLDER_BYTES, Limits};
use crate::listener::settings::{Listening, Route, RouteKey};
use crate::logger::LogSettings;
use crate::rate::Rate;
use crate::retry::RetryPolicy;
use crate::schema::{ChangeMode, Key, Schema, markdown, size_text};
use crate::settings::{KeyedRules, MailboxShape, Recorder, SpawnedRules};
use crate::wire::Wire;

/// A row: the key, what the book calls its type and its default, how it is changed while a host runs (`by`), what it
/// means.
macro_rules! keys {
    ($($key:literal: $kind:literal, $default:literal $(, by $way:ident)?, $meaning:literal;)+) => {
        &[$(Key::told($key, $kind, $default, keys!(@some [$(ChangeMode::$way)?]), $meaning)),+]
    };
    (@some []) => { None };
    (@some [$value:expr]) => { Some($value) };
}

const TOP: &[Key] = keys! {
    "name": "name", "required", by NotRunning, "the name of the mesh, and of its root supervisor";
    "settings": "table", "see below", by InPlace, "settings of the whole mesh";
    "root": "table", "see below", by InPlace, "what the root supervisor does when a child ends";
    "supervisor": "list of tables", "none", "the other supervisors, each `[[supervisor]]`";
    "role": "list of tables", "none", "grants that services have in common, each `[[role]]`";
    "service": "list of tables", "none", "the services, each `[[service]]`";
    "quota": "list of tables", "none", "what services may send and do in a second, each `[[quota]]`";
    "log": "list of tables", "none: what guests say goes to `tracing`",
        "where lines go that guests log, and what they do, each `[[log]]`: see [logs](logging.md)";
    "retry": "list of tables", "none", "by what services try again what failed, each `[[retry]]`";
    "layer": "list of tables", "none", "components that are asked about what others do, each `[[layer]]`: see [layers](layers.md)";
    "http": "list of tables", "none", "where requests of HTTP are taken, each `[[http]]`: see [HTTP](http.md)";
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
    "fuse": "table", "nothing", "which imports are satisfied by which other components, which are linked with it: `\"acme:shop/pricing\" = \"pricing.wasm\"`. See [Fusing](typed.md#fusing)";
    "build": "table", "see below", "for the build alone";
};

/// Each table of keys of the two files, in markdown, under the heading that it has in the book's reference.
///
/// # Example
///
/// ```
/// let pages = airssys_wasm::command::reference();
/// assert!(pages.iter().all(|(name, text)| !name.is_empty() && text.contains('|')));
/// ```
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
        ("## `[[supervisor]]`", told(SupervisorNode::KEYS)),
        ("## `[[service]]`", told(ServiceNode::KEYS)),
        ("## `[[role]]`", told(Role::KEYS)),
        ("### `mailbox`", of::<MailboxShape>()),
        ("### `recorder`", of::<Recorder>()),
        ("### `keyed`", of::<KeyedRules>()),
        ("### `spawned`", of::<SpawnedRules>()),
        ("### `wires`", told(Wire::KEYS)),
        ("## `[[quota]]`", told(Rate::KEYS)),
        ("## `[[log]]`", told(LogSettings::KEYS)),
        ("## `[[layer]]`", told(Guard::KEYS)),
        ("## `[[retry]]`", told(RetryPolicy::KEYS)),
        ("## `[[http]]`", of::<Listening>()),
        ("### `[[http.route]]`", told(Route::KEYS)),
        ("### `key` of a route", told(RouteKey::KEYS)),
        ("## `Component.toml`", told(COMPONENT)),
        ("## Limits", of::<Limits>()),
        ("## Requests and grants", markdown(["key", "asked for", "granted", "allows"], Grants::KEYS, &Table::new())),
        ("### `files`", markdown(HEADS, FileGrant::KEYS, &folder)),
        ("### `processes`", markdown(HEADS, ProcessGrant::KEYS, &ProcessGrant::new("").table())),
    ]
}
