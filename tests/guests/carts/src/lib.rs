//! Has carts as resources of an interface of its own: no SDK, no handler, nothing of this host's contract.

#![allow(missing_docs, unreachable_pub, unsafe_code, reason = "the bindings are generated")]

mod bindings {
    #![allow(clippy::all, reason = "generated code")]
    wit_bindgen::generate!({ world: "market", path: "wit", pub_export_macro: true });
}

bindings::export!(Market with_types_in bindings);

use std::cell::{Cell, RefCell};

use bindings::exports::acme::shop::carts::{Cart, CartBorrow, Guest, GuestCart, GuestReceipt, Parcel, Receipt};

thread_local! {
    static DROPPED: Cell<u32> = const { Cell::new(0) };
}

struct Market;

struct OneCart {
    owner: String,
    lines: RefCell<Vec<(String, u32)>>,
}

struct OneReceipt(u32);

impl OneCart {
    fn of(owner: String, lines: Vec<(String, u32)>) -> Cart {
        Cart::new(Self { owner, lines: RefCell::new(lines) })
    }

    fn pieces(&self) -> u32 {
        self.lines.borrow().iter().map(|(_, qty)| qty).sum()
    }
}

impl Drop for OneCart {
    fn drop(&mut self) {
        DROPPED.set(DROPPED.get() + 1);
    }
}

impl GuestCart for OneCart {
    fn new(owner: String) -> Self {
        Self { owner, lines: RefCell::default() }
    }

    fn add(&self, sku: String, qty: u32) -> u32 {
        self.lines.borrow_mut().push((sku, qty));
        self.pieces()
    }

    fn try_add(&self, sku: String, qty: u32) -> Result<u32, String> {
        if self.pieces() + qty > 100 {
            return Err(format!("{qty} are too many"));
        }
        Ok(self.add(sku, qty))
    }

    fn owner(&self) -> String {
        self.owner.clone()
    }

    fn open(owner: String) -> Result<Cart, String> {
        if owner.is_empty() { Err("nobody is named".to_owned()) } else { Ok(Self::of(owner, Vec::new())) }
    }

    fn merge(carts: Vec<Cart>) -> Cart {
        let carts: Vec<Self> = carts.into_iter().map(Cart::into_inner).collect();
        let owner = carts.first().map(|cart| cart.owner.clone()).unwrap_or_default();
        Self::of(owner, carts.iter().flat_map(|cart| cart.lines.take()).collect())
    }
}

impl GuestReceipt for OneReceipt {
    fn pieces(&self) -> u32 {
        self.0
    }
}

impl Guest for Market {
    type Cart = OneCart;
    type Receipt = OneReceipt;

    fn checkout(cart: Cart) -> Receipt {
        Receipt::new(OneReceipt(cart.get::<OneCart>().pieces()))
    }

    fn count(carts: Vec<CartBorrow<'_>>) -> u32 {
        carts.iter().map(|cart| cart.get::<OneCart>().pieces()).sum()
    }

    fn split(cart: CartBorrow<'_>, parts: u32) -> Vec<Cart> {
        let cart: &OneCart = cart.get();
        let pieces = cart.pieces();
        (0..parts).map(|_| OneCart::of(cart.owner.clone(), vec![("a part".to_owned(), pieces / parts)])).collect()
    }

    fn pack(cart: Cart, note: String) -> Parcel {
        Parcel { cart: Some(cart), note }
    }

    fn unpack(parcel: Parcel) -> Option<Cart> {
        parcel.cart
    }

    fn dropped() -> u32 {
        DROPPED.get()
    }

    #[allow(clippy::panic, reason = "it is asked to")]
    fn crash(reason: String) -> u32 {
        panic!("{reason}")
    }
}
