//! A command of WASI 0.3: it shouts what it reads.

#![allow(missing_docs, unreachable_pub, unsafe_code, reason = "the bindings are generated")]

mod bindings {
    #![allow(clippy::all, reason = "generated code")]
    wit_bindgen::generate!({
        world: "airssys-tests:shout/shout",
        path: [
            "../tasks/wit/deps/clocks.wit",
            "../tasks/wit/deps/filesystem.wit",
            "../tasks/wit/deps/sockets.wit",
            "../tasks/wit/deps/random.wit",
            "../tasks/wit/deps/cli.wit",
            "wit",
        ],
        generate_all,
        pub_export_macro: true,
    });
}

bindings::export!(Shout with_types_in bindings);

use bindings::exports::wasi::cli::run::Guest;
use bindings::wasi::cli::{exit, stdin, stdout};
use bindings::wit_stream;

struct Shout;

impl Guest for Shout {
    async fn run() -> Result<(), ()> {
        let (reader, _) = stdin::read_via_stream();
        let text = String::from_utf8_lossy(&reader.collect().await).to_uppercase();
        match text.as_str() {
            "FAIL" => return Err(()),
            "EXIT" => exit::exit_with_code(3),
            _ => {}
        }
        let (mut writer, reader) = wit_stream::new();
        let written = stdout::write_via_stream(reader);
        writer.write_all(text.into_bytes()).await;
        drop(writer);
        written.await.map_err(|_| ())
    }
}
