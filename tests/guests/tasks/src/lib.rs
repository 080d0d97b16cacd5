//! A component of WASI 0.3: its functions are async, wait for several things at once, and go on after they answered.

#![allow(missing_docs, unreachable_pub, unsafe_code, reason = "the bindings are generated")]

mod bindings {
    #![allow(clippy::all, reason = "generated code")]
    wit_bindgen::generate!({
        world: "airssys-tests:tasks/actor",
        path: ["../../../wit", "wit"],
        generate_all,
        pub_export_macro: true,
    });
}

bindings::export!(Tasks with_types_in bindings);

mod files;

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use bindings::airssys::actor::messaging;
use bindings::exports::airssys_tests::tasks::tasks::{Guest, Many, Vast};
use bindings::wasi::cli::{environment, exit, stdout};
use bindings::wasi::clocks::{monotonic_clock, system_clock};
use bindings::wasi::filesystem::preopens;
use bindings::wasi::keyvalue::store;
use bindings::wasi::random::random;
use bindings::wasi::sockets::types::{IpAddressFamily, TcpSocket};

struct Tasks;

thread_local! {
    static ASKED: Cell<u32> = const { Cell::new(0) };
}

async fn wait(ms: u32) {
    monotonic_clock::wait_for(u64::from(ms) * 1_000_000).await;
}

fn write(key: &str, value: &str) -> Result<(), String> {
    let state = store::open("").map_err(|error| format!("{error:?}"))?;
    state.set(key, value.as_bytes()).map_err(|error| format!("{error:?}"))
}

impl Guest for Tasks {
    async fn together(waits: Vec<u32>) -> Vec<u32> {
        let mut all: Vec<(u32, Pin<Box<dyn Future<Output = ()>>>)> =
            waits.into_iter().map(|ms| (ms, Box::pin(wait(ms)) as Pin<Box<dyn Future<Output = ()>>>)).collect();
        let mut over = Vec::new();
        poll_fn(|context| {
            all.retain_mut(|(ms, waiting)| {
                let is_over = waiting.as_mut().poll(context).is_ready();
                if is_over {
                    over.push(*ms);
                }
                !is_over
            });
            if all.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        over
    }

    async fn later(ms: u32, key: String, value: String) -> String {
        let _it_is_not_waited_for = wit_bindgen::spawn_local(async move {
            wait(ms).await;
            let _nobody_hears = write(&key, &value);
        });
        "at once".to_owned()
    }

    async fn add(ms: u32) -> u64 {
        let read = |key: &str| {
            let state = store::open("").ok()?.get(key).ok()??;
            String::from_utf8_lossy(&state).parse().ok()
        };
        let sum = read("sum").unwrap_or(0_u64) + 1;
        let _in_the_midst = write("sum", "half");
        wait(ms).await;
        let _it_is_not_waited_for = wit_bindgen::spawn_local(async move {
            wait(ms).await;
            let _it_is_whole = write("sum", &sum.to_string());
        });
        sum
    }

    async fn get(key: String) -> Option<String> {
        let state = store::open("").ok()?;
        state.get(&key).ok()?.map(|value| String::from_utf8_lossy(&value).into_owned())
    }

    async fn count() -> u32 {
        ASKED.set(ASKED.get() + 1);
        ASKED.get()
    }

    async fn mirror(it: Many) -> Many {
        it
    }

    async fn mirror_all(it: Vast) -> Vast {
        wait(1).await;
        it
    }

    fn plain(it: Many) -> Result<Many, String> {
        if it.a == 0 { Err("nothing".to_owned()) } else { Ok(it) }
    }

    #[allow(clippy::panic, reason = "it is asked to")]
    async fn end(how: String) -> Result<(), String> {
        write("ended", &how)?;
        match how.as_str() {
            "trap" => panic!("it was asked to"),
            "spin" => loop {
                std::hint::black_box(ASKED.get());
            },
            "hog" => {
                let mut all = Vec::new();
                loop {
                    all.push(vec![1_u8; 1 << 20]);
                }
            }
            "wait" => wait(3_600_000).await,
            "never" => std::future::pending().await,
            "exit" => exit::exit_with_code(3),
            // It answers, and goes on for an hour.
            "linger" => {
                let _it_is_not_waited_for = wit_bindgen::spawn_local(wait(3_600_000));
            }
            "streams" => {
                let mut all = Vec::new();
                loop {
                    all.push(bindings::wit_stream::new::<u8>());
                }
            }
            other => return Err(format!("no such end: {other}")),
        }
        Ok(())
    }

    async fn send(to: String, body: String) -> Result<(), String> {
        messaging::send(&to, None, body.as_bytes()).map_err(|error| format!("{error:?}"))
    }

    async fn say(text: String) -> Result<(), String> {
        let (mut writer, reader) = bindings::wit_stream::new();
        let written = stdout::write_via_stream(reader);
        let left = writer.write_all(text.into_bytes()).await;
        drop(writer);
        if !left.is_empty() {
            return Err(format!("{} bytes were not taken", left.len()));
        }
        written.await.map_err(|error| format!("{error:?}"))
    }

    async fn surroundings() -> (u64, u64, u64, Vec<String>, Vec<String>, bool) {
        let seconds = u64::try_from(system_clock::now().seconds).unwrap_or_default();
        let variables = environment::get_environment().into_iter().map(|(name, value)| format!("{name}={value}"));
        let folders = preopens::get_directories().into_iter().map(|(_, name)| name).collect();
        let is_socket = TcpSocket::create(IpAddressFamily::Ipv4).is_ok();
        let drawn = u64::from_le_bytes(random::get_random_bytes(8).try_into().unwrap_or_default());
        (seconds, drawn, random::get_random_u64(), variables.collect(), folders, is_socket)
    }
}
