//! A program that knows of its host: each run counts in its state and sends a message on, and then exits with the
//! status that its stdin says.

#![allow(missing_docs, unreachable_pub, unsafe_code, reason = "the bindings are generated")]

mod bindings {
    #![allow(clippy::all, reason = "generated code")]
    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "package test:clerk; world clerk {
            import wasi:keyvalue/store@0.2.0-draft;
            import wasi:keyvalue/atomics@0.2.0-draft;
            import airssys:actor/messaging@0.1.0;
        }",
        world: "test:clerk/clerk",
        generate_all,
    });
}

use std::process::ExitCode;

use bindings::airssys::actor::messaging;
use bindings::wasi::keyvalue::{atomics, store};

fn main() -> ExitCode {
    let status = std::io::read_to_string(std::io::stdin()).ok().and_then(|text| text.trim().parse().ok());
    match count() {
        Ok(runs) => print!("{runs}"),
        Err(error) => eprintln!("{error}"),
    }
    ExitCode::from(status.unwrap_or(0))
}

fn count() -> Result<u64, String> {
    let bucket = store::open("default").map_err(|error| format!("{error:?}"))?;
    let runs = atomics::increment(&bucket, "runs", 1).map_err(|error| format!("{error:?}"))?;
    let body = br#"{"increment":{"key":"ran","by":1}}"#.to_vec();
    messaging::send("goal", None, &body).map_err(|error| format!("{error:?}"))?;
    Ok(runs)
}
