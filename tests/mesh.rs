//! The mesh of four languages: each order counts once, while pricing goes from Rust to Python and back.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

/// It needs guests in each of these languages. Where one of them cannot be built, what is left out is found by its
/// name.
mod python {
    mod javascript {
        mod c {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn each_order_counts_once_while_pricing_goes_from_rust_to_python_and_back() {
                super::super::super::each_order_counts_once().await;
            }
        }
    }
}

use std::path::Path;

use airssys_mesh::{Evidence, Flaw, Mesh, Upgrade, check};

const SEED: u64 = 13;
/// Orders that are placed at least before, between and after the upgrades.
const ORDERS: u64 = 300;

async fn each_order_counts_once() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/mesh");
    let data = tempfile::tempdir().unwrap();
    let mesh = Mesh::open(&folder.join("airssys.toml"), data.path(), airssys_tests::code_cache()).await;
    let mesh = mesh.unwrap_or_else(|error| panic!("{error}"));
    let mut load = mesh.load(SEED).unwrap_or_else(|error| panic!("{error}"));
    load.more(ORDERS).await;
    is_live(&mesh.upgrade("pricing", "pricing-next").await.unwrap());
    load.more(ORDERS).await;
    is_live(&mesh.back("pricing").await.unwrap());
    load.more(ORDERS).await;
    let evidence = mesh.audit(load).await.unwrap();
    assert_eq!(check(&evidence), [], "by seed {SEED}");
    let (sold, refused) = evidence.settled();
    assert!(sold as u64 >= 2 * ORDERS && refused > 0, "{sold} sold, {refused} refused, by seed {SEED}");
    let crashed: Vec<_> = mesh.services().into_iter().filter(|service| service.crashed > 0).collect();
    let crashed: Vec<_> = crashed.iter().map(|service| service.service.as_str()).collect();
    assert_eq!(crashed, ["fraud", "payments", "tax"], "one in each language but one, and nobody with them");
    assert!(mesh.close().await, "it stops in order");
    spoiled_evidence_is_found_out(&evidence);
}

fn is_live(upgrade: &Upgrade) {
    assert_eq!(upgrade.why_not, None);
}

/// On what was seen of a real run, each spoiled in one place.
fn spoiled_evidence_is_found_out(good: &Evidence) {
    let spoil = |change: fn(&mut Evidence)| {
        let mut evidence = good.clone();
        change(&mut evidence);
        check(&evidence)
    };
    let lost = spoil(|evidence| drop(evidence.books.pop_first()));
    assert!(matches!(lost.as_slice(), [Flaw::Kept { service: "audit", kept: None, .. }]), "{lost:?}");
    let doubled = spoil(|evidence| evidence.charged.extend([("order-0".to_owned(), 1)]));
    assert!(matches!(doubled.as_slice(), [Flaw::Kept { service: "payments", sold: None, .. }]), "{doubled:?}");
    let stolen = spoil(|evidence| *evidence.taken.get_mut("apple").unwrap() += 1);
    assert!(matches!(stolen.as_slice(), [Flaw::Counted { service: "stock", .. }]), "{stolen:?}");
    let twice = spoil(|evidence| evidence.counted[0].2 += 1);
    assert!(matches!(twice.as_slice(), [Flaw::Counted { service: "report", .. }]), "{twice:?}");
}
