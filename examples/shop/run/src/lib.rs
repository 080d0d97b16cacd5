//! The shop as a program that embeds the runtime: opens the mesh of `airssys.toml`, sells, and holds the books of each
//! service against the others.
//!
//! [`orders`] writes the input, [`Shop`] runs it, [`check`] is the pure part that says whether the books agree.
//!
//! # Example
//!
//! ```no_run
//! # async fn example() -> Result<(), airssys_shop::ShopError> {
//! use airssys_shop::{Shop, check, orders};
//!
//! let shop = Shop::open("examples/shop/airssys.toml".as_ref(), None).await?;
//! let sales = shop.sell(orders::generate(orders::SEED).lines).await?;
//! let evidence = shop.audit(sales).await?;
//! assert!(check(&evidence).is_empty());
//! shop.close().await;
//! # Ok(()) }
//! ```

mod books;
mod evidence;
pub mod orders;
mod renew;
mod report;
mod shop;

pub use books::{Flaw, check};
pub use evidence::{Evidence, Sales};
pub use renew::Renewal;
pub use report::{Report, ServiceReport};
pub use shop::{Shop, ShopError};
