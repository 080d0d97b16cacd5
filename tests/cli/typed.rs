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
    assert_eq!(desk.run(&["send", "pricing", "ping()"]).well().stdout, "sent to pricing\n");
    let _refused = desk.run(&["send", "pricing", "pong()"]).refused(1, "AH201", &["no-call"]);
    // Told by its place, and by what there is.
    let _refused = desk.run(&["call", "pricing", "quote({sku: 7})"]).refused(1, "AH201", &["no-call", "character 13"]);
    let _refused =
        desk.run(&["call", "pricing", "price()"]).refused(1, "AH201", &["no-call", "acme:shop/pricing@1.0.0#quote"]);
    // What there is to call, as it was written.
    let shown = desk.run(&["wit", "--service", "pricing"]).well().stdout;
    for line in [
        "  export acme:shop/pricing@1.0.0;",
        "  export ping: func();",
        "    quote: func(order: order) -> result<price, problem>;",
        "      too-many(u32),",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line:?}: {shown}");
    }
    let _refused = desk.run(&["wit", "--service", "nobody"]).refused(1, "AH201", &["no-such-service"]);
    stop(&desk, host);
    let binary = guest("till").parent().unwrap().join("target/airssys/till.wasm");
    let shown = desk.run(&["wit", binary.to_str().unwrap()]).well().stdout;
    assert!(shown.contains("  import acme:shop/pricing@1.0.0;\n"), "{shown}");
    assert!(shown.contains("  export checkout: func(sku: string, qty: u32) -> result<u64, string>;\n"), "{shown}");
    desk.write("junk.wasm", "not a component");
    let _refused = desk.run(&["wit", "junk.wasm"]).refused(2, "AC103", &["junk.wasm"]);
}
