//! What instances take of the kernel's memory mappings is counted, over all hosts of a process, and one instance too
//! many is refused: its session is to come again, and nothing hangs.
//!
//! A process of its own, most of whose mappings are taken by nobody before anything starts.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::net::SocketAddr;

use airssys_tests::{Mesh, PATIENCE, read, until};
use airssys_wasm::Runtime;
use airssys_wasm::events::{Happening, Heard, Kind};
use airssys_wasm::hint::Coded;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What is left to engines, as it comes about from what is taken: the half of their reserve is the process's own.
const LEFT: usize = 2_400;
const RESERVE: usize = 2_048;
const PAGE: usize = 4_096;

/// How many mappings this process has, and how many it may have.
fn mappings() -> (usize, usize) {
    let there = std::fs::read_to_string("/proc/self/maps").unwrap().lines().count();
    let allowed = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap().trim().parse().unwrap();
    (there, allowed)
}

/// Mappings that nobody uses, until they are dropped.
struct Filling(*mut libc::c_void, usize);

#[allow(unsafe_code, reason = "mappings have no safe interface")]
impl Filling {
    fn of(mappings: usize) -> Self {
        let bytes = mappings * PAGE;
        // SAFETY: new memory, which nobody reads; neighbours that differ in what may be done with them are not one.
        unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            let begin = libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_NONE, flags, -1, 0);
            assert_ne!(begin, libc::MAP_FAILED);
            for page in (0..mappings).step_by(2) {
                assert_eq!(libc::mprotect(begin.byte_add(page * PAGE), PAGE, libc::PROT_READ), 0, "{page}");
            }
            Self(begin, bytes)
        }
    }

    /// All but so many.
    fn all_but(mappings: usize) -> Self {
        let (there, allowed) = self::mappings();
        Self::of(allowed - there - mappings)
    }
}

#[allow(unsafe_code, reason = "mappings have no safe interface")]
impl Drop for Filling {
    fn drop(&mut self) {
        // SAFETY: it was mapped by `of`, and nobody has anything of it.
        let ended = unsafe { libc::munmap(self.0, self.1) };
        assert_eq!(ended, 0);
    }
}

fn topology(sessions: usize) -> String {
    format!(
        "name = \"m\"\n[root]\nintensity = 1000\n[[service]]\nname = \"site\"\nrelease = \"@visits\"\n\
         keyed = {{ max_awake = {sessions}, idle_timeout = \"1h\" }}\n\
         [[http]]\nlisten = \"127.0.0.1:0\"\n[[http.route]]\nservice = \"site\"\nkey = {{ header = \"x-session\" }}\n"
    )
}

fn address(mesh: &Mesh) -> SocketAddr {
    mesh.runtime.listeners()[0].address.parse().unwrap()
}

/// What a session is answered: its status, its head and its body.
async fn visit(address: SocketAddr, session: usize) -> (u16, String, String) {
    let asked = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!("GET /visit HTTP/1.1\r\nhost: a\r\nx-session: s{session}\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut read = String::new();
        stream.read_to_string(&mut read).await.unwrap();
        read
    };
    let read = tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| panic!("s{session} has no answer"));
    let (head, body) = read.split_once("\r\n\r\n").unwrap_or_else(|| panic!("s{session}: {read:?}"));
    (head[9..12].parse().unwrap(), head.to_owned(), body.trim_end().to_owned())
}

fn is_refused((status, head, body): &(u16, String, String)) -> bool {
    *status == 503 && head.contains("retry-after: 1") && body == "crashed"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_instance_too_many_is_refused_and_nothing_hangs() {
    let (there, allowed) = mappings();
    let _taken = Filling::of(allowed - there - RESERVE - LEFT);
    let (first, second) = (Mesh::start(&topology(250)).await, Mesh::start(&topology(100)).await);
    let (of_first, of_second) = (address(&first), address(&second));
    let mut events = second.runtime.events().of_kinds(&[Kind::LimitReached]);

    for session in 0..250 {
        let (status, _, body) = visit(of_first, session).await;
        assert_eq!((status, body.as_str()), (200, "1"), "s{session}");
    }
    // A third one that would have no room is not started, and the first ones go on.
    let folder = tempfile::tempdir().unwrap();
    let third = read(folder.path(), &topology(380)).unwrap();
    let refused = Runtime::builder().start(&third).await.err().unwrap();
    let hint = refused.hint().unwrap().to_string();
    assert!(refused.to_string().contains("mappings") && hint.contains("vm.max_map_count"), "{refused}: {hint}");

    let mut answers = Vec::new();
    for session in 0..100 {
        answers.push(visit(of_second, session).await);
    }
    let answered = answers.iter().filter(|answer| answer.0 == 200).count();
    let refused = answers.iter().filter(|answer| is_refused(answer)).count();
    assert!(answered > 20 && refused > 20 && answered + refused == 100, "{answered} and {refused}: {answers:?}");
    match events.next().await {
        Some(Heard::Event(event)) => match &event.what {
            Happening::LimitReached { limit, detail, .. } => {
                assert!(limit == "instances" && detail.contains("vm.max_map_count"), "{limit}: {detail}");
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
    let (now, _) = mappings();
    assert!(now + RESERVE / 2 < allowed, "{now} of {allowed}: something takes mappings that nobody counts");
    // Those who are there go on.
    let there: Vec<usize> = (0..100).filter(|session| answers[*session].0 == 200).collect();
    for session in &there {
        assert_eq!(visit(of_second, *session).await.2, "2", "s{session}");
    }
    // What a host had is there for others when it ends.
    first.stop().await;
    let late = (0..100).find(|session| !there.contains(session)).unwrap();
    until("there is room", async || visit(of_second, late).await.0 == 200).await;
    for session in 0..100 {
        let (status, _, body) = visit(of_second, session).await;
        let expected = if session == late || there.contains(&session) { "1" } else { "0" };
        assert!(status == 200 && body.as_str() > expected, "s{session}: {status} {body}");
    }
    second.stop().await;
    the_kernel_has_no_mapping().await;
}

/// A program that embeds a host may take mappings that nobody knows of.
async fn the_kernel_has_no_mapping() {
    let mesh = Mesh::start(&topology(100)).await;
    let at = address(&mesh);
    for session in 0..10 {
        assert_eq!(visit(at, session).await.2, "1");
    }
    let filling = Filling::all_but(60);
    let mut refused = 0;
    for session in 10..60 {
        let answer = visit(at, session).await;
        assert!(answer.0 == 200 || is_refused(&answer), "s{session}: {answer:?}");
        refused += usize::from(answer.0 == 503);
    }
    assert!(refused > 10, "{refused}");
    assert_eq!(visit(at, 0).await.2, "2", "those who are there go on");
    drop(filling);
    for session in 10..60 {
        assert_eq!(visit(at, session).await.0, 200, "s{session}");
    }
    mesh.stop().await;
}
