#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use airssys_rt_shim::mailbox::Overflow;

use super::service::ServiceShape;
use super::*;
use crate::client::ClientSettings;
use crate::limits::Limits;
use crate::settings::{MailboxShape, Multiplicity};

/// A mesh with one service, which takes one message and drops what comes then.
fn mesh() -> (Mesh, Arc<Service>) {
    let events = Events::new(10, 1 << 10);
    let client = Client::new(ClientSettings::default());
    let mesh =
        Mesh::new(MeshSettings::default(), Stack::new(Vec::new(), &events), events, Arc::default(), client, None);
    let address = Address::of_service("one").unwrap();
    let shape = MailboxShape { capacity: 1, overflow: Overflow::DropNewest, ..MailboxShape::default() };
    let limits = Limits::default();
    let of = ServiceShape { address: &address, multiplicity: Multiplicity::One, shape, limits: &limits, durable: None };
    let service = Arc::new(Service::new(of, &mesh.waits).0);
    mesh.register(&service).unwrap();
    (mesh, service)
}

/// Where messages are dropped nothing holds room for one. So the policy may refuse it by the time that it leaves.
#[tokio::test]
async fn what_is_refused_at_its_commit_is_told_as_what_it_is() {
    for (then, expected) in [(Some(Overflow::Refuse), DeadReason::Overflow), (None, DeadReason::Stopped)] {
        let (mesh, service) = mesh();
        let resolved = mesh.resolve("one", None);
        let reserved = mesh.reserve(Origin::HOST, None, resolved, "one", None, Bytes::new()).await;
        let outgoing = reserved.unwrap().unwrap();
        mesh.send(Origin::HOST, "one", None, Bytes::new().into()).await.unwrap();
        match then {
            Some(overflow) => service.reshape(MailboxShape { capacity: 1, overflow, ..MailboxShape::default() }),
            None => mesh.retire(&service),
        }
        mesh.deliver(Origin::HOST, outgoing);
        let reasons: Vec<DeadReason> = mesh.dead_letters().1.into_iter().map(|letter| letter.reason).collect();
        assert_eq!(reasons.last(), Some(&expected), "{then:?}: {reasons:?}");
        assert_eq!(reasons.len(), if then.is_some() { 1 } else { 2 }, "{then:?}: {reasons:?}");
    }
}
