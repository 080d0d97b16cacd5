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

use airssys_mesh::{Mesh, Upgrade, check};

const SEED: u64 = 13;
/// Orders that are placed at least before, between and after the upgrades.
const ORDERS: u64 = 200;

async fn each_order_counts_once() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/mesh");
    let cache = airssys_tests::code_cache();
    let mesh = Mesh::open(&folder.join("airssys.toml"), cache).await.unwrap_or_else(|error| panic!("{error}"));
    let mut load = mesh.load(SEED).unwrap_or_else(|error| panic!("{error}"));
    load.more(ORDERS).await;
    is_live(&mesh.upgrade("pricing", "pricing-next").await.unwrap());
    load.more(ORDERS).await;
    is_live(&mesh.back("pricing").await.unwrap());
    load.more(ORDERS).await;
    let evidence = mesh.audit(load).await.unwrap();
    assert_eq!(check(&evidence), [], "by seed {SEED}");
    let (sold, refused) = evidence.settled();
    assert!(sold + refused >= 3 * ORDERS && refused > 0, "{sold} sold, {refused} refused, by seed {SEED}");
    for service in mesh.services() {
        // Only the tax service has anything to crash over.
        assert_eq!(service.crashed > 0, service.service == "tax", "{service:?}");
    }
    assert!(mesh.close().await, "it stops in order");
}

fn is_live(upgrade: &Upgrade) {
    assert_eq!(upgrade.why_not, None);
}
