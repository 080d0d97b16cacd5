//! The part of the contract that the benches' guests use, as Rust types, once a lane.

#![allow(
    missing_docs,
    unused_qualifications,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    reason = "generated code"
)]

/// The async lane, and what both share.
pub(crate) mod async_lane {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package bench:floor;
            world plain {
                import airssys:actor/messaging@0.1.0;
                import airssys:actor/log@0.1.0;
                import wasi:config/store@0.2.0-rc.1;
                export airssys:actor/handler@0.1.0;
            }
        ",
        world: "bench:floor/plain",
        imports: {
            "airssys:actor/messaging@0.1.0.call": async | trappable,
            default: trappable,
        },
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

/// The sync lane: its guests do not call.
pub(crate) mod sync_lane {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package bench:floor;
            world plain {
                import airssys:actor/log@0.1.0;
                import wasi:config/store@0.2.0-rc.1;
                export airssys:actor/handler@0.1.0;
            }
        ",
        world: "bench:floor/plain",
        imports: { default: trappable },
        with: {
            "airssys:actor/types": super::async_lane::airssys::actor::types,
            "airssys:actor/log": super::async_lane::airssys::actor::log,
            "wasi:config": super::async_lane::wasi::config,
        },
        ownership: Borrowing { duplicate_if_necessary: true },
        require_store_data_send: true,
    });
}
