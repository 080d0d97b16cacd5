//! The contract in `wit/`, as Rust types: made by wasmtime's `bindgen!`, once a lane, since the two have other
//! functions.
//!
//! The async lane's `send` and `call` may wait; the sync lane's may not. Everything else is shared.

#![allow(
    missing_docs,
    unused_qualifications,
    unreachable_pub,
    clippy::all,
    clippy::unwrap_used,
    reason = "generated code"
)]

/// The optional exports, each found by looking at the component.
macro_rules! optional {
    ($($name:ident: $world:tt, { $($exports:tt)* };)*) => {
        $(
            pub(crate) mod $name {
                wasmtime::component::bindgen!({
                    path: "../wit",
                    world: $world,
                    $($exports)*
                    with: { "airssys:actor/types": crate::engine::bindings::async_lane::airssys::actor::types },
                });
            }
        )*
    };
}

/// The async lane, and what both lanes share.
pub(crate) mod async_lane {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "airssys:actor/actor",
        imports: {
            "airssys:actor/messaging@0.1.0.send": async | trappable,
            "airssys:actor/messaging@0.1.0.call": async | trappable,
            default: trappable,
        },
        exports: { default: async },
        with: {
            "wasi:keyvalue/store.bucket": crate::engine::host::bucket::Bucket,
        },
        ownership: Borrowing { duplicate_if_necessary: true },
    });

    optional! {
        lifecycle: "airssys:actor/with-lifecycle", { exports: { default: async }, };
        health: "airssys:actor/with-health", { exports: { default: async }, };
        upgrade: "airssys:actor/with-upgrade", { exports: { default: async }, };
        monitoring: "airssys:actor/with-monitoring", { exports: { default: async }, };
    }
}

/// The sync lane.
pub(crate) mod sync_lane {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "airssys:actor/actor",
        imports: { default: trappable },
        with: {
            "airssys:actor/types": super::async_lane::airssys::actor::types,
            "wasi:keyvalue": super::async_lane::wasi::keyvalue,
            "wasi:config": super::async_lane::wasi::config,
            "airssys:actor/log": super::async_lane::airssys::actor::log,
        },
        ownership: Borrowing { duplicate_if_necessary: true },
        require_store_data_send: true,
    });

    optional! {
        lifecycle: "airssys:actor/with-lifecycle", {};
        health: "airssys:actor/with-health", {};
        upgrade: "airssys:actor/with-upgrade", {};
        monitoring: "airssys:actor/with-monitoring", {};
    }
}

/// What a release that requests `processes` may import besides. It waits, so it is for the async lane alone.
pub(crate) mod os {
    wasmtime::component::bindgen!({
        path: "../wit/os",
        world: "airssys:os/with-processes",
        imports: {
            "airssys:os/processes@0.1.0.[static]process.start": async | trappable,
            "airssys:os/processes@0.1.0.[method]process.wait": async | trappable,
            "airssys:os/processes@0.1.0.[method]process.exited": async | trappable,
            "airssys:os/processes@0.1.0.[method]process.signal": async | trappable,
            default: trappable,
        },
        with: {
            "wasi:io": wasmtime_wasi_io::bindings::wasi::io,
            "airssys:os/processes.process": crate::engine::host::running::Running,
        },
    });
}

/// What a release that requests `files` may import besides. It waits, so it is for the async lane alone.
pub(crate) mod os_files {
    wasmtime::component::bindgen!({
        path: "../wit/os",
        world: "airssys:os/with-files",
        imports: {
            "airssys:os/files@0.1.0.append": async | trappable,
            "airssys:os/files@0.1.0.replace": async | trappable,
            "airssys:os/files@0.1.0.[static]watch.start": async | trappable,
            default: trappable,
        },
        with: {
            "wasi:io": wasmtime_wasi_io::bindings::wasi::io,
            "airssys:os/files.watch": crate::engine::host::watched::Watched,
        },
    });
}

/// What a release that requests `spawn` may import besides. Nothing in it waits, so both lanes share it.
pub(crate) mod supervision {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "airssys:actor/with-supervision",
        imports: { default: trappable },
    });
}
