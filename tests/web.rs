//! The shop of `examples/web`, in a browser: who clicks notices neither another release nor the crash of another one's
//! cart.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

#[path = "web/driver.rs"]
mod driver;

use std::path::{Path, PathBuf};

use airssys_tests::command::Desk;
use driver::{Browser, Driver};
use serde_json::Value;

use crate::cli::signals::Running;

/// It needs a guest in Python, and a browser. Where one of them cannot be had, what is left out is found by its name.
mod python {
    mod browser {
        #[test]
        fn a_cart_is_upgraded_while_it_is_clicked_on_and_a_crash_is_that_of_one_session() {
            super::super::a_cart_is_upgraded_while_it_is_clicked_on();
        }
    }
}

/// What the page clicks on by itself, in this order.
const GOODS: [&str; 6] = ["coffee", "tea", "honey", "bread", "cheese", "apple"];
/// Clicks that the page makes at least before and after each deployment.
const SOME: u64 = 8;

/// The host, with the example at a port of its own.
struct Shop {
    desk: Desk,
    running: Running,
    page: String,
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/web").canonicalize().unwrap()
}

fn run(desk: Desk) -> Shop {
    let mut running = Running::start(desk.command(&["run"]));
    running.until("is up");
    let listeners = desk.run(&["ps", "--listeners", "--json"]).well().stdout;
    let listeners: Value = serde_json::from_str(&listeners).unwrap();
    let page = format!("http://{}/", listeners[0]["address"].as_str().unwrap());
    Shop { desk, running, page }
}

impl Shop {
    fn open() -> Self {
        let topology = std::fs::read_to_string(example().join("airssys.toml")).unwrap();
        let guests = format!("\"{}/", example().join("guests").display());
        run(Desk::with(&topology.replace("127.0.0.1:8080", "127.0.0.1:0").replace("\"guests/", &guests)))
    }

    /// Stops in order, and starts again over what was kept.
    fn again(self) -> Self {
        self.running.signal("TERM");
        let (exit, said) = self.running.end();
        assert!(exit == Some(0) && !said.contains("had to be killed"), "{said}");
        run(self.desk)
    }

    fn deploy(&self, arguments: &[&str]) {
        let _live = self.desk.run(&[arguments, &["--probation", "100ms"]].concat()).well();
    }

    fn crashes(&self) -> u64 {
        let services: Value = serde_json::from_str(&self.desk.run(&["ps", "--json"]).well().stdout).unwrap();
        let cart = services.as_array().unwrap().iter().find(|service| service["service"] == "cart").unwrap();
        cart["crashed"].as_u64().unwrap()
    }
}

/// How many pieces of each thing the page shows.
fn shown(browser: &Browser<'_>) -> Vec<u64> {
    let shown = |sku| {
        let line = format!("[data-line={sku}]");
        if browser.is_shown(&line) { browser.number(&format!("{line} .number")) } else { 0 }
    };
    GOODS.iter().map(shown).collect()
}

/// What is in it when the page has clicked on one thing after the other so often.
fn after(before: &[u64], clicks: u64) -> Vec<u64> {
    let more = |at: usize| (clicks + 5 - at as u64) / 6;
    before.iter().enumerate().map(|(at, pieces)| pieces + more(at)).collect()
}

fn until_answered(browser: &Browser<'_>) {
    browser.until("each click is answered", |page| {
        page.number("#answered") + page.number("#failed") == page.number("#clicks")
    });
    assert_eq!(browser.text("#failed"), "0");
}

/// Lets the page click, does something meanwhile, and looks whether the cart has exactly what was clicked.
fn while_clicking(browser: &Browser<'_>, act: impl FnOnce()) {
    let (before, begun) = (shown(browser), browser.number("#clicks"));
    let more = |page: &Browser<'_>| {
        let so_far = page.number("#clicks");
        page.until("it goes on clicking", |page| page.number("#clicks") >= so_far + SOME);
    };
    browser.click("#keep");
    more(browser);
    act();
    more(browser);
    browser.click("#keep");
    until_answered(browser);
    let clicks = browser.number("#clicks") - begun;
    assert_eq!(shown(browser), after(&before, clicks), "after {clicks} clicks");
}

fn a_cart_is_upgraded_while_it_is_clicked_on() {
    let shop = Shop::open();
    let driver = Driver::start();
    let (ann, bob) = (driver.open(&shop.page), driver.open(&shop.page));
    the_page_is_for_everybody(&ann, &shop.page);
    for selector in ["[data-add=coffee]", "[data-add=coffee]", "[data-add=honey]", "[data-line=coffee] .more"] {
        ann.click(selector);
    }
    until_answered(&ann);
    ann.click("[data-line=honey] .less");
    until_answered(&ann);
    assert_eq!((shown(&ann), ann.text("#total")), (vec![3, 0, 0, 0, 0, 0], "€26.97".to_owned()));
    assert!(bob.is_shown("#empty"), "another session has a cart of its own");
    bob.click("[data-add=apple]");
    until_answered(&bob);
    assert_eq!(shown(&bob), [0, 0, 0, 0, 0, 1]);

    let seen = bob.number("#seen");
    ann.click("#break");
    ann.until("the page says so", |page| page.text("#said").contains("crashed (502)"));
    assert!(ann.text("#said").contains("a new instance has your cart"), "{}", ann.text("#said"));
    assert_eq!((shown(&ann), shop.crashes()), (vec![3, 0, 0, 0, 0, 0], 1));
    bob.click("[data-add=apple]");
    until_answered(&bob);
    assert!(bob.number("#seen") > seen, "it is the instance that bob had before");

    assert_eq!((ann.text("#release"), ann.is_shown("#surcharge")), ("1.0.0".to_owned(), false));
    let next = example().join("guests/cart-next");
    while_clicking(&ann, || shop.deploy(&["deploy", "cart", next.to_str().unwrap()]));
    assert_eq!((ann.text("#release"), ann.text("#surcharge-label")), ("2.0.0".to_owned(), "Delivery".to_owned()));
    assert!(ann.text("#said").contains("Release 2.0.0 serves your cart now"), "{}", ann.text("#said"));
    bob.until("bob has it without a click", |page| page.text("#release") == "2.0.0");
    assert_eq!((shown(&bob), bob.text("#total")), (vec![0, 0, 0, 0, 0, 2], "€5.80".to_owned()));
    assert_eq!(bob.text("#note"), "39.10 more, and delivery is free.");

    while_clicking(&ann, || shop.deploy(&["rollback", "cart"]));
    assert_eq!((ann.text("#release"), ann.is_shown("#surcharge")), ("1.0.0".to_owned(), false));
    bob.click("#checkout");
    bob.until("it is bought", |page| page.text("#said").contains("bought it for €0.90: purchase number 1"));
    assert!(bob.is_shown("#empty"));

    let complaints = ann.complaints();
    let of_the_crash = |line: &&String| line.contains("/cart/break") && line.contains("502");
    assert!(complaints.iter().all(|line| of_the_crash(&line)), "{complaints:#?}");
    assert_eq!(complaints.len(), 1, "{complaints:#?}");
    assert!(bob.complaints().is_empty());

    let carts = shown(&ann);
    let shop = shop.again();
    ann.go(&shop.page);
    ann.until("the cart is there", |page| page.text("#pieces") != "0");
    assert_eq!(shown(&ann), carts, "it outlives the host");
}

/// Whoever has a narrow window, cannot see, or has no network but to the shop.
fn the_page_is_for_everybody(browser: &Browser<'_>, page: &str) {
    browser.until("the goods are there", |page| page.count("[data-add]") == GOODS.len());
    let labels = browser.labels("button:not([hidden] *)");
    assert!(labels.len() >= GOODS.len() + 3 && labels.iter().all(|label| label.len() > 2), "{labels:?}");
    let icons = "return document.querySelector('#goods use').getBoundingClientRect().width > 10";
    browser.until("a thing has a picture", |page| page.script(icons, &[]) == Value::Bool(true));
    let loaded = browser.script("return performance.getEntriesByType('resource').map((entry) => entry.name)", &[]);
    let loaded: Vec<_> = loaded.as_array().unwrap().iter().map(|entry| entry.as_str().unwrap()).collect();
    assert!(loaded.len() >= 4 && loaded.iter().all(|name| name.starts_with(page)), "{loaded:?}");
    browser.narrow();
    let fits = "return document.documentElement.scrollWidth <= window.innerWidth && window.innerWidth === 360";
    browser.until("it fits into a narrow window", |page| page.script(fits, &[]) == Value::Bool(true));
}
