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

#[test]
fn a_request_is_a_call_of_a_component_that_handles_http() {
    let inspected = Desk::new().run(&["inspect", guest("site").to_str().unwrap()]).well().stdout;
    assert!(inspected.contains("handles     HTTP requests\n"), "{inspected}");
    let topology = format!("name = \"web\"\n[[service]]\nname = \"site\"\nrelease = {:?}\n", guest("site"));
    let desk = Desk::with(&topology);
    let host = up(&desk, &[]);
    let request =
        "{method: \"GET\", scheme: \"http\", authority: \"a\", path-with-query: \"/seen\", headers: [], body: []}";
    let said = desk.run(&["call", "site", &format!("handle({request})")]).well();
    assert_eq!(said.stdout, "ok({status: 200, headers: [], body: [49]})\n");
    let nowhere = format!("handle({})", request.replace("\"a\"", "\"\""));
    let _refused = desk.run(&["call", "site", &nowhere]).refused(1, "AH201", &["`authority` is none of HTTP"]);
    stop(&desk, host);
}

#[test]
fn a_function_is_called_in_json_and_answers_in_it() {
    let topology = format!("name = \"shop\"\n[[service]]\nname = \"pricing\"\nrelease = {:?}\n", guest("pricing"));
    let desk = Desk::with(&topology);
    let host = up(&desk, &[]);
    let order = r#"{"sku":"book","qty":2,"extras":["gift","insured"],"note":"für dich"}"#;
    let price = r#"{"ok":{"cents":3250,"currency":"eur","lines":[["book",2500],["für dich",300],["insurance",450]]}}"#;
    // In order, or by the names of the parameters; from stdin as well.
    for arguments in [format!("[{order}]"), format!("{{\"order\":{order}}}")] {
        assert_eq!(desk.run(&["call", "pricing", "quote", &arguments]).well().stdout, format!("{price}\n"));
        let piped = desk.run_with(&["call", "pricing", "acme:shop/pricing#quote", "-"], &arguments).well();
        assert_eq!(piped.stdout, format!("{price}\n"));
    }
    // --json means what it means everywhere: the answer is JSON.
    let enveloped = format!("{{\"ok\":{price}}}\n");
    let in_json = desk.run(&["call", "pricing", "quote", "--json", &format!("[{order}]")]).well();
    assert_eq!(in_json.stdout, enveloped);
    let wave = r#"quote({sku: "book", qty: 2, extras: {gift, insured}, note: some("für dich")})"#;
    assert_eq!(desk.run(&["call", "pricing", wave, "--json"]).well().stdout, enveloped);
    let car = desk.run(&["call", "pricing", "quote", r#"[{"sku":"car","qty":1,"extras":[]}]"#]).well();
    assert_eq!(car.stdout, "{\"err\":{\"unknown-sku\":\"car\"}}\n");
    assert_eq!(desk.run(&["call", "pricing", "ping", "[]"]).well().stdout, "ok\n");
    assert_eq!(desk.run(&["call", "pricing", "ping", "{}", "--json"]).well().stdout, "{\"ok\":null}\n");
    assert_eq!(desk.run(&["send", "pricing", "ping", "[]"]).well().stdout, "sent to pricing\n");
    // What is wrong is told by its place: a pointer where it is JSON, the line and the column where it is none.
    for (arguments, told) in [
        (r#"[{"sku":"a","qty":"2","extras":[]}]"#, r#"/0/qty: u32 is wanted, and it is "2""#),
        (r#"[{"sku":"a","qty":4294967296,"extras":[]}]"#, "/0/qty: u32 is wanted, and it is 4294967296"),
        (r#"{"order":{"sku":"a","extras":[]}}"#, "/order/qty: u32 is wanted, and it is missing"),
        (r#"[{"sku":"a","qty":1,"extras":["gold"]}]"#, r#"/0/extras/0: enum { gift, express, insured } is wanted"#),
        (r#"[{"sku":"a","qty":1,"qty":2,"extras":[]}]"#, "/0/qty: it is there twice"),
        (r#"[{"sku":"a","qty":1,"extras":[],"colour":1}]"#, "/0/colour: "),
        ("[]", "1 argument wanted, and 0 found"),
        ("[{\n  \"sku\" \"a\"}]", "line 2, column 9: "),
    ] {
        let _refused = desk.run(&["call", "pricing", "quote", arguments]).refused(1, "AH201", &["no-call", told]);
    }
    let _refused = desk.run(&["send", "pricing", "price", "[]"]).refused(1, "AH201", &["there is no function `price`"]);
    stop(&desk, host);
}

#[test]
fn a_running_host_completes_its_services_and_their_functions() {
    let topology = format!("name = \"shop\"\n[[service]]\nname = \"pricing\"\nrelease = {:?}\n", guest("pricing"));
    let desk = Desk::with(&topology);
    // As bash asks: the words of the line, and which of them is to be completed.
    let complete = |line: &[&str]| {
        let mut asked = desk.command(&["--", "airssys"]);
        asked.args(line).env("AIRSSYS_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", line.len().to_string());
        let said: airssys_tests::command::Ran = asked.env("_CLAP_IFS", "\n").output().unwrap().into();
        said.well().stdout.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    // Without a host there is nothing to complete with, and that is no error.
    assert_eq!(complete(&["call", "pri"]), Vec::<String>::new());
    let host = up(&desk, &[]);
    assert_eq!(complete(&["call", "pri"]), ["pricing"]);
    assert_eq!(complete(&["call", "pricing", "p"]), ["ping"]);
    let all = complete(&["call", "pricing", ""]);
    for function in ["ping", "crash", "quote", "mirror"] {
        assert!(all.iter().any(|one| one == function), "{function}: {all:?}");
    }
    assert_eq!(complete(&["wit", "--service", "pri"]), ["pricing"]);
    assert_eq!(complete(&["call", "nobody", "p"]), Vec::<String>::new());
    stop(&desk, host);
    // What `completions` prints asks so.
    assert!(desk.run(&["completions", "bash"]).well().stdout.contains("AIRSSYS_COMPLETE"));
}

#[test]
fn resources_are_made_used_and_dropped_by_their_handles() {
    let desk = Desk::with(&format!("name = \"m\"\n[[service]]\nname = \"carts\"\nrelease = {:?}\n", guest("carts")));
    let host = up(&desk, &[]);
    let call = |call: &str| desk.run(&["call", "carts", call]);
    let cart = call("cart.new(\"ann\")").well().stdout.trim().to_owned();
    assert_eq!(call(&format!("cart.add({cart}, \"pen\", 3)")).well().stdout, "3\n");
    // In JSON it is the same text.
    let pieces = desk.run(&["call", "carts", "count", &format!("[[{cart}]]")]).well();
    assert_eq!(pieces.stdout, "3\n");
    assert_eq!(call(&format!("cart.drop({cart})")).well().stdout, "ok\n");
    let _dead = call(&format!("cart.owner({cart})")).refused(1, "AH201", &["dead-handle", "cart", "carts"]);
    let shown = desk.run(&["wit", "--service", "carts"]).well().stdout;
    assert!(shown.contains("  resource cart {\n") && shown.contains("constructor(owner: string);\n"), "{shown}");
    stop(&desk, host);
}
