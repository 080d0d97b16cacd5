//! Has carts in another service. It imports that interface, and knows nothing of who has it.

#![allow(missing_docs, unreachable_pub, unsafe_code, reason = "the bindings are generated")]

mod bindings {
    #![allow(clippy::all, reason = "generated code")]
    wit_bindgen::generate!({ world: "shopper", path: "../carts/wit", pub_export_macro: true });
}

bindings::export!(Shopper with_types_in bindings);

use std::cell::RefCell;

use bindings::Guest;
use bindings::acme::shop::carts::{self, Cart, Parcel};

thread_local! {
    static CARTS: RefCell<Vec<Cart>> = const { RefCell::new(Vec::new()) };
}

struct Shopper;

fn with_last<T>(then: impl FnOnce(&Cart) -> Result<T, String>) -> Result<T, String> {
    CARTS.with_borrow(|carts| then(carts.last().ok_or("it has no cart")?))
}

impl Guest for Shopper {
    fn visit(qty: u32) -> u32 {
        let cart = Cart::new("a visitor");
        cart.add("book", qty);
        let Parcel { cart, .. } = carts::pack(cart, "a gift");
        let parts: Vec<Cart> = cart.iter().flat_map(|cart| carts::split(cart, 2)).collect();
        let all: Vec<&Cart> = parts.iter().chain(&cart).collect();
        let counted = carts::count(&all);
        carts::checkout(Cart::merge(parts)).pieces() + counted
    }

    fn keep(owner: String) -> u32 {
        CARTS.with_borrow_mut(|carts| {
            carts.push(Cart::new(&owner));
            carts.len() as u32
        })
    }

    fn add(qty: u32) -> Result<u32, String> {
        with_last(|cart| cart.try_add("pen", qty))
    }

    fn owner() -> Result<String, String> {
        with_last(|cart| Ok(cart.owner()))
    }

    fn pay() -> Result<u32, String> {
        let cart = CARTS.with_borrow_mut(Vec::pop).ok_or("it has no cart")?;
        Ok(carts::checkout(cart).pieces())
    }

    fn leave(fails: bool) -> Result<(), String> {
        CARTS.take();
        if fails { Err("on purpose".to_owned()) } else { Ok(()) }
    }

    #[allow(clippy::panic, reason = "it is asked to")]
    fn crash() -> u32 {
        panic!("on purpose")
    }
}
