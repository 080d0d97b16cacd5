//! An invariant that is written in Rust.

use std::fmt;
use std::sync::Arc;

use crate::runtime::Runtime;

/// What has to hold of what the services of a mesh have committed, after each commit of a run.
///
/// # Example
///
/// ```
/// use airssys_wasm::Runtime;
/// use airssys_wasm::trial::{Always, Terms};
///
/// let few = Always::new(|mesh: &Runtime| match mesh.state("cart").len() {
///     carts if carts < 100 => Ok(()),
///     carts => Err(format!("there are {carts} carts")),
/// });
/// let _terms = Terms { always: Some(few), ..Terms::default() };
/// ```
#[derive(Clone)]
pub struct Always(Arc<Holds>);

type Holds = dyn Fn(&Runtime) -> Result<(), String> + Send + Sync;

impl Always {
    /// `holds` is called between two steps of the run, so it cannot wait; its error says what is there in the place of
    /// what should be.
    ///
    /// # Example
    ///
    /// ```
    /// let _all_is_well = airssys_wasm::trial::Always::new(|_| Ok(()));
    /// ```
    pub fn new(holds: impl Fn(&Runtime) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(holds))
    }

    pub(super) fn broken(&self, runtime: &Runtime) -> Option<String> {
        (self.0)(runtime).err()
    }
}

impl fmt::Debug for Always {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Always").finish_non_exhaustive()
    }
}

/// Whether it is the very same closure.
impl PartialEq for Always {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Always {}
