//! The mesh of `airssys.toml`, as a program that embeds the runtime: it opens it, places orders, lets another release
//! of pricing take over from Rust to Python and back meanwhile, and counts.
//!
//! [`Wishes`] are what is ordered and what must become of it, [`Mesh`] is what runs, [`check`] is the pure part that
//! says whether each order counted once.

mod check;
mod error;
mod load;
mod mesh;
mod orders;

pub use check::{Evidence, Flaw, check};
pub use error::MeshError;
pub use load::{Answered, Load};
pub use mesh::{Mesh, Upgrade};
pub use orders::{Expected, Line, Order, Problem, Receipt, Wish, Wishes};
