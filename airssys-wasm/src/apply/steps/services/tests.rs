#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use bytes::Bytes;

use super::*;
use crate::address::Address;
use crate::limits::Limits;
use crate::router::service::ServiceShape;
use crate::settings::{MailboxShape, Multiplicity};
use crate::state::durable::{Journal, LoadedService, ServiceStates, StateFile};
use crate::state::{NO_MESSAGE, Transaction};

fn service(durable: Option<&Arc<ServiceStates>>) -> Service {
    let address = Address::of_service("one").unwrap();
    let (shape, limits) = (MailboxShape::default(), Limits::default());
    let of = ServiceShape { address: &address, multiplicity: Multiplicity::One, shape, limits: &limits, durable };
    Service::new(of, &Arc::default()).0
}

/// Its actor was killed while it waited for the disk. What it told others leaves when the commit is there, so what it
/// wrote has to be there too.
#[tokio::test]
async fn a_commit_that_is_on_its_way_is_carried_over() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::start(StateFile::open(folder.path()).unwrap(), 0, None).unwrap();
    let durable = Arc::new(ServiceStates::new(journal, "one", LoadedService::default()));
    let (from, to) = (service(Some(&durable)), service(None));
    let state = from.state_of("").unwrap();
    let mut turn = Transaction::default();
    turn.set(&state, "key", Bytes::from_static(b"value"), 1_000).unwrap();
    drop(state.save(&mut turn, NO_MESSAGE, 0, Box::new(|| ())).unwrap());
    carry_over(&from, &to).await.unwrap();
    assert_eq!(to.state_of("").unwrap().snapshot().get("key"), Some(&Bytes::from_static(b"value")));
}
