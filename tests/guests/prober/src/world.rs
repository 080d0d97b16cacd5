//! What it may see of the world outside: files, environment, sockets, clocks, randomness, standard streams.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddrV4;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use airssys_sdk::send;
use prober_protocol::{Clock, Command, Refusal};
use serde_json::{Value, json};
use wasip2::clocks::monotonic_clock;
use wasip2::io::poll;
use wasip2::random::insecure::get_insecure_random_u64;
use wasip2::random::insecure_seed::insecure_seed;
use wasip2::random::random::{get_random_bytes, get_random_u64};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::resolve_addresses;
use wasip2::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use wasip2::sockets::tcp_create_socket::create_tcp_socket;
use wasip2::sockets::udp::OutgoingDatagram;
use wasip2::sockets::udp_create_socket::create_udp_socket;

use crate::Told;
use crate::fill;
use crate::refusal::{Name, named};

/// The commands that ask for something outside. All others were answered before.
pub(crate) fn ask(command: Command) -> Told {
    match command {
        Command::Stdout(line) => writeln!(std::io::stdout(), "{line}").name().map(|()| Value::Null),
        Command::Stderr(line) => writeln!(std::io::stderr(), "{line}").name().map(|()| Value::Null),
        Command::ReadFile(path) => Ok(json!(std::fs::read_to_string(path).name()?)),
        Command::WriteRelease(path) => std::fs::write(path, release()).name().map(|()| Value::Null),
        Command::WriteFile { path, text } => std::fs::write(path, text).name().map(|()| Value::Null),
        Command::ListFolder(path) => list(&path),
        Command::MakeFolder(path) => std::fs::create_dir(path).name().map(|()| Value::Null),
        Command::Rename { from, to } => std::fs::rename(from, to).name().map(|()| Value::Null),
        // The function that is not deprecated is unstable on this target.
        #[allow(deprecated, reason = "see above")]
        Command::Symlink { target, path } => std::fs::soft_link(target, path).name().map(|()| Value::Null),
        Command::HardLink { of, path } => std::fs::hard_link(of, path).name().map(|()| Value::Null),
        Command::Append { path, bytes } => fill::append(&path, bytes),
        Command::SetSize { path, bytes } => fill::set_size(&path, bytes).name().map(|()| Value::Null),
        Command::MakeFiles { folder, count } => Ok(fill::make_files(&folder, count)),
        Command::Nest { folder, count } => Ok(fill::nest(&folder, count)),
        Command::Remove(path) => fill::remove(&path).name().map(|()| Value::Null),
        Command::Env(name) => Ok(json!(std::env::var(name).ok())),
        Command::EnvAll => Ok(json!(std::env::vars().collect::<BTreeMap<_, _>>())),
        Command::Args => Ok(json!(std::env::args().collect::<Vec<_>>())),
        Command::Connect(address) => connect(&address).map(|()| json!(true)),
        Command::Datagram { to, text } => datagram(&to, text).map(Value::from),
        Command::Resolve(name) => resolve(&name).map(|count| json!(count)),
        Command::Clock => clock(),
        // Not std's: its hash seed comes from another interface with each tool chain.
        Command::Random => Ok(json!(get_random_u64())),
        Command::InsecureRandom => Ok(json!(get_insecure_random_u64())),
        Command::InsecureSeed => Ok(json!(insecure_seed())),
        Command::RandomBytes(count) => Ok(json!(get_random_bytes(count).len())),
        Command::Race(to) => race(&to),
        other => Err(named("unheard-of", format_args!("{other:?}"))),
    }
}

/// What this release is called, padded with dots: a test makes another release of it by other letters.
static RELEASE: [u8; 24] = *b"release=one.............";

fn release() -> String {
    let text = String::from_utf8_lossy(std::hint::black_box(&RELEASE).as_slice()).into_owned();
    text.trim_end_matches('.').to_owned()
}

/// The command that a file has.
pub(crate) fn command(path: &str) -> Result<Command, Refusal> {
    let text = std::fs::read_to_string(path).name()?;
    serde_json::from_str(&text).map_err(|error| named("no-command", error))
}

/// Waits for one of two timers, and tells which it was.
fn race(to: &str) -> Told {
    let chance = get_random_u64();
    let mut durations = [0, u64::MAX];
    if chance % 2 == 0 {
        durations.reverse();
    }
    let [first, second] = durations.map(monotonic_clock::subscribe_duration);
    let is_turned = chance / 2 % 2 == 0;
    let ready = if is_turned { poll::poll(&[&second, &first]) } else { poll::poll(&[&first, &second]) };
    let won: Vec<u32> = ready.into_iter().map(|place| if is_turned { 1 - place } else { place }).collect();
    send(to, &Command::Record(json!(won)).value()).name()?;
    Ok(Value::Null)
}

fn list(path: &str) -> Told {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).name()? {
        names.push(entry.name()?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(json!(names))
}

fn clock() -> Told {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| named("clock", error))?;
    let step = Instant::now().elapsed();
    Ok(json!(Clock {
        wall_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX),
        monotonic_ns: monotonic_clock::now(),
        step_ns: u64::try_from(step.as_nanos()).unwrap_or(u64::MAX),
    }))
}

fn remote(address: &str) -> Result<IpSocketAddress, Refusal> {
    let address: SocketAddrV4 = address.parse().map_err(|error| named("no-address", error))?;
    let [a, b, c, d] = address.ip().octets();
    Ok(IpSocketAddress::Ipv4(Ipv4SocketAddress { port: address.port(), address: (a, b, c, d) }))
}

fn datagram(to: &str, text: String) -> Result<String, Refusal> {
    let remote = remote(to)?;
    let socket = create_udp_socket(IpAddressFamily::Ipv4).map_err(socket_error)?;
    let any = IpSocketAddress::Ipv4(Ipv4SocketAddress { port: 0, address: (0, 0, 0, 0) });
    socket.start_bind(&instance_network(), any).map_err(socket_error)?;
    socket.finish_bind().map_err(socket_error)?;
    let (incoming, outgoing) = socket.stream(None).map_err(socket_error)?;
    while outgoing.check_send().map_err(socket_error)? == 0 {
        outgoing.subscribe().block();
    }
    let sent = OutgoingDatagram { data: text.into_bytes(), remote_address: Some(remote) };
    outgoing.send(&[sent]).map_err(socket_error)?;
    loop {
        if let Some(datagram) = incoming.receive(1).map_err(socket_error)?.pop() {
            return Ok(String::from_utf8_lossy(&datagram.data).into_owned());
        }
        incoming.subscribe().block();
    }
}

fn connect(address: &str) -> Result<(), Refusal> {
    let remote = remote(address)?;
    let socket = create_tcp_socket(IpAddressFamily::Ipv4).map_err(socket_error)?;
    socket.start_connect(&instance_network(), remote).map_err(socket_error)?;
    loop {
        match socket.finish_connect() {
            Ok(_streams) => return Ok(()),
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            Err(error) => return Err(socket_error(error)),
        }
    }
}

fn resolve(name: &str) -> Result<u32, Refusal> {
    let stream = resolve_addresses(&instance_network(), name).map_err(socket_error)?;
    let mut count = 0;
    loop {
        match stream.resolve_next_address() {
            Ok(Some(_)) => count += 1,
            Ok(None) => return Ok(count),
            Err(ErrorCode::WouldBlock) => stream.subscribe().block(),
            Err(error) => return Err(socket_error(error)),
        }
    }
}

fn socket_error(error: ErrorCode) -> Refusal {
    named(&format!("socket/{}", error.name()), error.message())
}
