//! Reaches out for what it is told, in a turn and wherever else a guest runs, and tells what came of it.
//!
//! Its configuration says what it does in `init`, `snapshot` and `migrate`, each a list as in a message. What came of
//! the first two it keeps in its memory, which it hands over; of the last, in its state.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use airssys_sdk::files;
use airssys_sdk::prelude::*;
use airssys_sdk::process::{Command, Exit};
use serde::Deserialize;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{Fields, OutgoingBody, OutgoingRequest, Scheme};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::resolve_addresses;
use wasip2::sockets::network::{ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use wasip2::sockets::tcp::TcpSocket;
use wasip2::sockets::tcp_create_socket::create_tcp_socket;
use wasip2::sockets::udp::OutgoingDatagram;
use wasip2::sockets::udp_create_socket::create_udp_socket;

/// What it reaches out for.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reach {
    Send(String),
    Call(String),
    Publish(String),
    Subscribe(String),
    /// `SERVICE/NAME`.
    Spawn(String),
    Read(String),
    Write(String),
    /// To make a folder, to remove a file, to list a folder.
    Make(String),
    Remove(String),
    List(String),
    /// To append to a file, to replace it, to watch it.
    Append(String),
    Replace(String),
    Watch(String),
    Variable(String),
    /// An IPv4 address or a name, and a port.
    Connect(String),
    /// To listen at an IPv4 address, for as long as this instance lives.
    Listen(String),
    /// To listen there, and to tell the first one who connects what it says.
    Serve(String),
    /// To take a datagram there, and to send it back.
    Echo(String),
    Get(String),
    /// A program and its arguments.
    Start(String),
}

/// Some of these, as a configuration says them.
struct All(Vec<Reach>);

impl std::str::FromStr for All {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        serde_json::from_str(text).map(Self)
    }
}

/// What it is told.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Told {
    /// To do this in this turn.
    Do(Vec<Reach>),
    /// To have another one do this, and tell what it answers.
    Through(String, serde_json::Value),
    /// To tell what came of what it did before.
    Earlier,
    /// Nothing.
    Hear,
}

/// By place, what came of each: `ok`, or the name of an error.
type Came = BTreeMap<String, Vec<String>>;

const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Reacher {
    came: Came,
}

#[component]
impl Reacher {
    fn init() -> Result<Self> {
        let mut came = Came::new();
        if let Some(All(all)) = config::parse("init")? {
            came.insert("init".to_owned(), each(all));
        }
        Ok(Self { came })
    }

    fn handle(&mut self, told: Told) -> Result<Option<Payload>> {
        let answer = match told {
            Told::Do(all) => {
                // What nobody has written to is not brought over.
                state::increment("turns", 1)?;
                serde_json::to_vec(&each(all))
            }
            Told::Through(to, what) => {
                let came: Result<Vec<String>, CallError> = call(&to, &what, PATIENCE);
                serde_json::to_vec(&came.unwrap_or_else(|error| vec![format!("{error:?}")]))
            }
            Told::Earlier => {
                let mut all = self.came.clone();
                if let Some(came) = state::get::<Vec<String>>("migrate")? {
                    all.insert("migrate".to_owned(), came);
                }
                serde_json::to_vec(&all)
            }
            Told::Hear => return Ok(None),
        };
        Ok(Some(answer.map_err(Fault::internal)?.into()))
    }

    fn snapshot(&self) -> Result<Came> {
        let mut came = self.came.clone();
        if let Some(All(all)) = config::parse("snapshot")? {
            came.insert("snapshot".to_owned(), each(all));
        }
        Ok(came)
    }

    fn restore(&mut self, before: Came) -> Result<()> {
        for (place, came) in before {
            self.came.entry(place).or_insert(came);
        }
        Ok(())
    }

    fn migrate(_from: u32) -> Result<()> {
        if let Some(All(all)) = config::parse("migrate")? {
            state::set("migrate", &each(all))?;
        }
        Ok(())
    }
}

fn each(all: Vec<Reach>) -> Vec<String> {
    all.into_iter().map(|one| reach(one).map_or_else(|error| error, |()| "ok".to_owned())).collect()
}

/// The name of a variant, as it is printed.
fn name(error: impl std::fmt::Debug) -> String {
    let text = format!("{error:?}");
    text.split(['(', ' ', '{']).next().unwrap_or_default().to_owned()
}

fn reach(what: Reach) -> Result<(), String> {
    match what {
        Reach::Send(to) => send(&to, &"hear").map_err(name),
        Reach::Call(to) => match call::<Option<serde_json::Value>>(&to, &"hear", PATIENCE) {
            Err(CallError::NotSent(error)) => Err(name(error)),
            // It answers nothing at all.
            Ok(_) | Err(CallError::Unreadable(_)) => Ok(()),
            Err(error) => Err(name(error)),
        },
        Reach::Publish(topic) => publish(&topic, &"hear").map_err(name),
        Reach::Subscribe(pattern) => subscribe(&pattern).map_err(name),
        Reach::Spawn(child) => {
            let (service, key) = child.split_once('/').unwrap_or((&child, ""));
            spawn(service, key).map(drop).map_err(name)
        }
        Reach::Read(path) => std::fs::read_to_string(path).map(drop).map_err(|error| name(error.kind())),
        Reach::Write(path) => std::fs::write(path, "written").map_err(|error| name(error.kind())),
        Reach::Make(path) => std::fs::create_dir(path).map_err(|error| name(error.kind())),
        Reach::Remove(path) => std::fs::remove_file(path).map_err(|error| name(error.kind())),
        Reach::List(path) => std::fs::read_dir(path).map(drop).map_err(|error| name(error.kind())),
        Reach::Append(path) => files::append(&path, "written").map_err(name),
        Reach::Replace(path) => files::replace(&path, "written").map_err(name),
        Reach::Watch(path) => files::Watch::start(&path).map(drop).map_err(name),
        Reach::Variable(name) => std::env::var(&name).map(drop).map_err(|_| "NotFound".to_owned()),
        Reach::Connect(address) => connect(&address),
        Reach::Listen(address) => {
            let socket = listen(&address)?;
            LISTENING.with_borrow_mut(|all| all.push(socket));
            Ok(())
        }
        Reach::Serve(address) => serve(&listen(&address)?),
        Reach::Echo(address) => echo(&address),
        Reach::Get(url) => get(&url),
        Reach::Start(line) => {
            let (program, arguments) = line.split_once(' ').unwrap_or((&line, ""));
            let done = Command::new(program).args(arguments.split_whitespace()).output(&[]).map_err(name)?;
            if done.exit == Exit::Status(0) { Ok(()) } else { Err(done.exit.to_string()) }
        }
    }
}

fn connect(address: &str) -> Result<(), String> {
    let address = match address.parse::<std::net::SocketAddrV4>() {
        Ok(address) => address,
        Err(_) => look_up(address)?,
    };
    let socket = create_tcp_socket(IpAddressFamily::Ipv4).map_err(refused)?;
    socket.start_connect(&instance_network(), of_wasi(address)).map_err(refused)?;
    socket.subscribe().block();
    socket.finish_connect().map(drop).map_err(refused)
}

fn of_wasi(address: std::net::SocketAddrV4) -> IpSocketAddress {
    let [a, b, c, d] = address.ip().octets();
    IpSocketAddress::Ipv4(Ipv4SocketAddress { port: address.port(), address: (a, b, c, d) })
}

fn refused(code: ErrorCode) -> String {
    code.name().to_owned()
}

thread_local! {
    static LISTENING: RefCell<Vec<TcpSocket>> = const { RefCell::new(Vec::new()) };
}

fn listen(address: &str) -> Result<TcpSocket, String> {
    let address = of_wasi(address.parse().map_err(name)?);
    let socket = create_tcp_socket(IpAddressFamily::Ipv4).map_err(refused)?;
    socket.start_bind(&instance_network(), address).map_err(refused)?;
    socket.finish_bind().map_err(refused)?;
    socket.start_listen().map_err(refused)?;
    socket.subscribe().block();
    socket.finish_listen().map_err(refused)?;
    Ok(socket)
}

fn serve(socket: &TcpSocket) -> Result<(), String> {
    let (_peer, input, output) = loop {
        match socket.accept() {
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            other => break other.map_err(refused)?,
        }
    };
    let said = input.blocking_read(1024).map_err(name)?;
    output.blocking_write_and_flush(&said).map_err(name)
}

fn echo(address: &str) -> Result<(), String> {
    let address = of_wasi(address.parse().map_err(name)?);
    let socket = create_udp_socket(IpAddressFamily::Ipv4).map_err(refused)?;
    socket.start_bind(&instance_network(), address).map_err(refused)?;
    socket.finish_bind().map_err(refused)?;
    let (incoming, outgoing) = socket.stream(None).map_err(refused)?;
    let came = loop {
        match incoming.receive(1).map_err(refused)?.pop() {
            Some(datagram) => break datagram,
            None => incoming.subscribe().block(),
        }
    };
    while outgoing.check_send().map_err(refused)? == 0 {
        outgoing.subscribe().block();
    }
    let back = OutgoingDatagram { data: came.data, remote_address: Some(came.remote_address) };
    outgoing.send(&[back]).map(drop).map_err(refused)
}

/// The first IPv4 address that a name leads to, with the port behind it.
fn look_up(address: &str) -> Result<std::net::SocketAddrV4, String> {
    let (host, port) = address.rsplit_once(':').ok_or("no port")?;
    let port = port.parse().map_err(name)?;
    let found = resolve_addresses(&instance_network(), host).map_err(refused)?;
    loop {
        match found.resolve_next_address() {
            Ok(Some(IpAddress::Ipv4((a, b, c, d)))) => {
                return Ok(std::net::SocketAddrV4::new([a, b, c, d].into(), port));
            }
            Ok(Some(IpAddress::Ipv6(_))) => {}
            Ok(None) => return Err("no address".to_owned()),
            Err(ErrorCode::WouldBlock) => found.subscribe().block(),
            Err(code) => return Err(refused(code)),
        }
    }
}

fn get(url: &str) -> Result<(), String> {
    let rest = url.strip_prefix("http://").ok_or("scheme")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let request = OutgoingRequest::new(Fields::new());
    let bad = |()| "request".to_owned();
    request.set_scheme(Some(&Scheme::Http)).map_err(bad)?;
    request.set_authority(Some(authority)).map_err(bad)?;
    request.set_path_with_query(Some(path)).map_err(bad)?;
    let body = request.body().map_err(bad)?;
    let coming = outgoing_handler::handle(request, None).map_err(name)?;
    // Where it is not finished, the response says why.
    let _told_below = OutgoingBody::finish(body, None);
    coming.subscribe().block();
    match coming.get() {
        Some(Ok(Ok(_))) => Ok(()),
        Some(Ok(Err(error))) => Err(name(error).trim_start_matches("ErrorCode::").to_owned()),
        None | Some(Err(())) => Err("no response".to_owned()),
    }
}
