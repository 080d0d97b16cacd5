//! The host's side: who may come in, how long anything takes, and that no client holds up the mesh, another client, or
//! the stop.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use airssys_wasm::command::acting_for;
use airssys_wasm::{Runtime, ShutdownReport};
use serde_json::Value;
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::claim::Claim;
use super::connections::{Connection, Connections};
use super::feed::Feed;
use super::handle::Work;
use super::host::Host;
use super::protocol::{Hello, MAX_LINE, Refusal, Reply, Request, Stopped, VERSION};
use super::wire::{Line, Lines, write};
use super::{ControlError, handle};

/// How long a client has for a line, its own silence included.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause after a connection that could not be accepted, such as for want of file descriptors.
const RESPITE: Duration = Duration::from_millis(100);
/// How long those who asked for the stop have to take the word that it is done.
const PARTING: Duration = Duration::from_secs(1);

/// The open control socket of a host; closed when dropped.
pub(crate) struct Control {
    claim: Claim,
    host: Arc<Host>,
    accepting: AbortHandle,
}

impl Control {
    /// Opens it for a mesh that is up. `stop` is told when somebody asks for the stop.
    pub(crate) fn open(
        claim: Claim,
        runtime: Arc<Runtime>,
        mesh: &str,
        stop: Arc<Notify>,
    ) -> Result<Self, ControlError> {
        let owner = own_user().map_err(claim.unusable())?;
        let host = Arc::new(Host::new(runtime, mesh, claim.data(), stop, owner));
        let listener = UnixListener::from_std(claim.show()?).map_err(claim.unusable())?;
        let accepting = tokio::spawn(accept(Arc::clone(&host), listener)).abort_handle();
        Ok(Self { claim, host, accepting })
    }

    /// Lets nobody in any more, and tells those who asked for the stop that it is done.
    pub(crate) async fn stopped(&self, report: &ShutdownReport) {
        self.accepting.abort();
        self.claim.hide();
        let ShutdownReport { took, killed, unresponsive, .. } = report;
        let (killed, unresponsive) = (killed.clone(), unresponsive.clone());
        self.host.stopped.send_replace(Some(Stopped { seconds: took.as_secs_f64(), killed, unresponsive }));
        let _who_does_not_listen_is_left = timeout(PARTING, self.host.stopped.closed()).await;
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// The standard library does not tell it; the other end of a pair of sockets does.
fn own_user() -> io::Result<u32> {
    Ok(UnixStream::pair()?.0.peer_cred()?.uid())
}

async fn accept(host: Arc<Host>, listener: UnixListener) {
    let connections = Connections::default();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let host = Arc::clone(&host);
                // Where no more are let in, it ends here.
                connections.admit(|connection| tokio::spawn(serve(host, stream, connection)).abort_handle());
            }
            Err(error) => {
                tracing::warn!(target: "airssys", %error, "the control socket cannot accept");
                tokio::time::sleep(RESPITE).await;
            }
        }
    }
}

async fn serve(host: Arc<Host>, stream: UnixStream, connection: Connection) {
    let peer = stream.peer_cred();
    let who = peer.as_ref().map_or_else(
        |_| String::new(),
        |cred| match cred.pid() {
            Some(process) => format!("uid {}, process {process}", cred.uid()),
            None => format!("uid {}", cred.uid()),
        },
    );
    let user = peer.map(|cred| cred.uid());
    let (read, mut to) = stream.into_split();
    let mut lines = Lines::new(read);
    let welcome = match user {
        Ok(user) if user == host.owner => greet(lines.next(PATIENCE).await),
        _ => {
            tracing::warn!(target: "airssys", ?user, "another user at the control socket was refused");
            Some(Err(Refusal::new("other-user", "only the user who runs a host may speak to it")))
        }
    };
    let Some(welcome) = welcome else { return };
    let (welcome, goes_on) = match welcome {
        Ok(()) => (Reply::Ok(handle::hello(&host)), true),
        Err(refusal) => (Reply::Error(refusal), false),
    };
    if !write(&mut to, &welcome, PATIENCE).await || !goes_on {
        return;
    }
    loop {
        let line = match lines.next(PATIENCE).await {
            Line::Text(line) => line,
            Line::TooLong => {
                write(&mut to, &Reply::Error(too_long()), PATIENCE).await;
                return;
            }
            Line::End => return,
        };
        connection.working(true);
        // Whoever stops waits for the end of this, so that the word of it is written before the host goes.
        let _stopping = host.stopped.subscribe();
        let request = serde_json::from_slice(&line).map_err(|error| Refusal::new("bad-request", error));
        let reply = match request.map(|request: Request| (request.patience(), handle::work(&host, request))) {
            Ok((patience, Work::Answer(answer))) => tokio::select! {
                biased;
                reply = within(patience, acting_for(&who, answer)) => reply,
                () = lines.gone() => return,
            },
            Ok((_, Work::Lines(Ok(feed)))) => match tell_all(*feed, &mut lines, &mut to, &host).await {
                true => Reply::Ok(Value::Null),
                false => return,
            },
            Ok((_, Work::Lines(Err(refusal)))) | Err(refusal) => Reply::Error(refusal),
        };
        connection.working(false);
        if !write(&mut to, &reply, PATIENCE).await {
            return;
        }
    }
}

/// What the first line says; none where there is none.
fn greet(line: Line) -> Option<Result<(), Refusal>> {
    let line = match line {
        Line::Text(line) => line,
        Line::TooLong => return Some(Err(too_long())),
        Line::End => return None,
    };
    let hello: Result<Hello, _> = serde_json::from_slice(&line);
    Some(match hello {
        Ok(Hello { airssys: VERSION }) => Ok(()),
        Ok(Hello { airssys }) => {
            let own = env!("CARGO_PKG_VERSION");
            let told = format!("this host, airssys {own}, speaks version {VERSION}, and was asked for {airssys}");
            Err(Refusal::new("version", told))
        }
        Err(error) => Err(Refusal::new("hello", format!("the first line is {{\"airssys\":{VERSION}}}: {error}"))),
    })
}

fn too_long() -> Refusal {
    Refusal::new("too-long", format!("a line has at most {MAX_LINE} bytes"))
}

/// Writes each line of a feed, as long as that takes: a client that stalls costs its connection and the line that it
/// does not take. False where it is gone, or the host goes before the feed has ended.
async fn tell_all(mut feed: Feed<'_>, lines: &mut Lines, to: &mut OwnedWriteHalf, host: &Host) -> bool {
    let mut stopped = host.stopped.subscribe();
    loop {
        let told = async {
            match feed.next().await {
                Some(line) => Some(write(to, &Reply::Ok(line), Duration::MAX).await),
                None => None,
            }
        };
        tokio::select! {
            biased;
            told = told => match told {
                Some(true) => {}
                Some(false) => return false,
                None => return true,
            },
            () = lines.gone() => return false,
            _ = stopped.wait_for(Option::is_some) => return false,
        }
    }
}

async fn within(patience: Option<Duration>, answer: impl Future<Output = Result<Value, Refusal>>) -> Reply {
    let answered = match patience {
        None => answer.await,
        Some(patience) => timeout(patience, answer)
            .await
            .unwrap_or_else(|_| Err(Refusal::new("timeout", "the host did not come to it in time"))),
    };
    answered.map_or_else(Reply::Error, Reply::Ok)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use airssys_wasm::Runtime;
    use airssys_wasm::topology::Topology;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    use super::{Connections, Host, own_user, serve};

    #[tokio::test(flavor = "multi_thread")]
    async fn another_user_is_told_so_and_nothing_else() {
        let here = tempfile::tempdir().unwrap();
        let file = here.path().join("airssys.toml");
        std::fs::write(&file, "name = \"mesh\"\n").unwrap();
        let topology = Topology::read(&file).unwrap();
        let runtime = Arc::new(Runtime::builder().start(&topology).await.unwrap());
        let own = own_user().unwrap();
        for (owner, says) in [(own, "\"mesh\":\"mesh\""), (own + 1, "\"other-user\"")] {
            let host = Arc::new(Host::new(Arc::clone(&runtime), "mesh", Path::new("."), Arc::default(), owner));
            let (theirs, mut ours) = UnixStream::pair().unwrap();
            Connections::default().admit(|connection| tokio::spawn(serve(host, theirs, connection)).abort_handle());
            // The other user's host may have hung up already; and a reset, because it did not listen, is an end too.
            let _written = ours.write_all(b"{\"airssys\":1}\n").await;
            let _no_more = ours.shutdown().await;
            let mut said = Vec::new();
            let _ended = ours.read_to_end(&mut said).await;
            let said = String::from_utf8(said).unwrap();
            assert!(said.contains(says) && said.lines().count() == 1, "{said}");
        }
        runtime.shutdown().await;
    }
}
