//! A component that exports functions of its own is called from the shell, by its own types.

use airssys_tests::command::Desk;
use airssys_tests::guest;

use super::control::{stop, up};

#[test]
fn a_function_is_called_by_its_own_types() {
    let topology = format!("name = \"shop\"\n[[service]]\nname = \"pricing\"\nrelease = {:?}\n", guest("pricing"));
    let desk = Desk::with(&topology);
    let host = up(&desk, &[]);
    let said = desk.run(&["call", "pricing", "quote({sku: \"book\", qty: 2, extras: {}})"]).well();
    assert_eq!(said.stdout, "ok({cents: 2500, currency: eur, lines: [(\"book\", 2500)]})\n");
    assert_eq!(desk.run(&["call", "pricing", "ping()"]).well().stdout, "ok\n");
    // Told by its place, and by what there is.
    let _refused = desk.run(&["call", "pricing", "quote({sku: 7})"]).refused(1, "AH201", &["no-call", "character 13"]);
    let _refused =
        desk.run(&["call", "pricing", "price()"]).refused(1, "AH201", &["no-call", "acme:shop/pricing@1.0.0#quote"]);
    stop(&desk, host);
}
