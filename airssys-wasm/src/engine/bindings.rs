//! The contract in `wit/`, as Rust types: made by wasmtime's `bindgen!`, once a lane.
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

/// The async lane, and what both lanes share.
pub(crate) mod waiting {
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
}

/// The sync lane.
pub(crate) mod prompt {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "airssys:actor/actor",
        imports: { default: trappable },
        with: {
            "airssys:actor/types": super::waiting::airssys::actor::types,
            "wasi:keyvalue": super::waiting::wasi::keyvalue,
            "wasi:config": super::waiting::wasi::config,
            "airssys:actor/log": super::waiting::airssys::actor::log,
        },
        ownership: Borrowing { duplicate_if_necessary: true },
        require_store_data_send: true,
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

/// The optional exports, each found by looking at the component.
pub(crate) mod optional {
    pub(crate) mod lifecycle {
        wasmtime::component::bindgen!({
            path: "../wit",
            world: "airssys:actor/with-lifecycle",
            exports: { default: async },
            with: { "airssys:actor/types": crate::engine::bindings::waiting::airssys::actor::types },
        });
    }
    pub(crate) mod lifecycle_prompt {
        wasmtime::component::bindgen!({
            path: "../wit",
            world: "airssys:actor/with-lifecycle",
            with: { "airssys:actor/types": crate::engine::bindings::waiting::airssys::actor::types },
        });
    }
    pub(crate) mod health {
        wasmtime::component::bindgen!({
            path: "../wit",
            world: "airssys:actor/with-health",
            exports: { default: async },
            with: { "airssys:actor/types": crate::engine::bindings::waiting::airssys::actor::types },
        });
    }
    pub(crate) mod health_prompt {
        wasmtime::component::bindgen!({
            path: "../wit",
            world: "airssys:actor/with-health",
            with: { "airssys:actor/types": crate::engine::bindings::waiting::airssys::actor::types },
        });
    }
    pub(crate) mod monitoring {
        wasmtime::component::bindgen!({
            path: "../wit",
            world: "airssys:actor/with-monitoring",
            exports: { default: async },
            with: { "airssys:actor/types": crate::engine::bindings::waiting::airssys::actor::types },
        });
    }
    pub(crate) mod monitoring_prompt {
        wasmtime::component::bindgen!({
            path: "../wit",
            world: "airssys:actor/with-monitoring",
            with: { "airssys:actor/types": crate::engine::bindings::waiting::airssys::actor::types },
        });
    }
    pub(crate) mod upgrade {
        wasmtime::component::bindgen!({
            path: "../wit",
            world: "airssys:actor/with-upgrade",
            exports: { default: async },
            with: { "airssys:actor/types": crate::engine::bindings::waiting::airssys::actor::types },
        });
    }
    pub(crate) mod upgrade_prompt {
        wasmtime::component::bindgen!({
            path: "../wit",
            world: "airssys:actor/with-upgrade",
            with: { "airssys:actor/types": crate::engine::bindings::waiting::airssys::actor::types },
        });
    }
}
