//! Tries everything that it was not granted, whenever it is asked, and tells what it was told.
//!
//! Messages are refused by a typed error that names the grant that is missing. Of the outside world it sees nothing at
//! all: no folder is open to it, no variable is set, and a socket is refused.

use airssys_sdk::prelude::*;
use shop_model::{Attempt, BookRequest, Books, TillRequest, Verdict};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::resolve_addresses;
use wasip2::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

#[component]
fn snoop() -> Vec<Attempt> {
    let read_books = call::<Books>("ledger", &BookRequest::Audit, Duration::from_secs(1));
    let void = TillRequest::Void { order: "o-000001".to_owned() };
    let cheat = call::<()>("payments", &void, Duration::from_secs(1));
    vec![
        attempt("call ledger for the books", read_books.map(|books| books.entries.len()), by_call),
        attempt("call payments to void an order", cheat, by_call),
        attempt("send payments a voiding", send("payments", &void), |error| by_send(&error)),
        attempt("publish a false order", publish("orders/sold", "o-000000"), |error| by_send(&error)),
        attempt("subscribe to all topics", subscribe("**"), |error| by_send(&error)),
        attempt("read /etc/passwd", std::fs::read("/etc/passwd").map(|file| file.len()), nothing),
        attempt("write to /tmp", std::fs::write("/tmp/snoop", "was here"), nothing),
        attempt("read $HOME", std::env::var("HOME"), nothing),
        attempt("connect to 127.0.0.1:22", connect([127, 0, 0, 1], 22), by_socket),
        attempt("look up example.com", resolve_addresses(&instance_network(), "example.com").map(|_| ()), by_socket),
    ]
}

fn attempt<T: std::fmt::Debug, E>(
    deed: &str,
    went: Result<T, E>,
    judge: impl FnOnce(E) -> (Verdict, String),
) -> Attempt {
    let (verdict, told) = match went {
        Ok(got) => (Verdict::GotThrough, format!("{got:?}")),
        Err(error) => judge(error),
    };
    Attempt { deed: deed.to_owned(), verdict, told }
}

fn by_send(error: &SendError) -> (Verdict, String) {
    let verdict = if matches!(error, SendError::Denied(_)) { Verdict::Denied } else { Verdict::Failed };
    (verdict, error.to_string())
}

fn by_call(error: CallError) -> (Verdict, String) {
    match error {
        CallError::NotSent(error) => by_send(&error),
        other => (Verdict::Failed, other.to_string()),
    }
}

fn by_socket(error: ErrorCode) -> (Verdict, String) {
    let verdict = match error {
        ErrorCode::AccessDenied => Verdict::Denied,
        // Whoever may open no socket is told of no name.
        ErrorCode::PermanentResolverFailure => Verdict::Nothing,
        _ => Verdict::Failed,
    };
    (verdict, error.name().to_owned())
}

/// What a guest without grants finds where others find files and variables.
fn nothing(error: impl std::fmt::Display) -> (Verdict, String) {
    (Verdict::Nothing, error.to_string())
}

fn connect([a, b, c, d]: [u8; 4], port: u16) -> Result<(), ErrorCode> {
    let socket = create_tcp_socket(IpAddressFamily::Ipv4)?;
    let remote = IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (a, b, c, d) });
    socket.start_connect(&instance_network(), remote)
}
