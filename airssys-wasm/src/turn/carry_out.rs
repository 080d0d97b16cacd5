//! How each call of the table is carried out. Apart from the calls themselves, which are plain values: the script has
//! those, and the turn has the script.

use super::host_call::{HostCall, Reply, table};
use super::{Turn, ready};

macro_rules! carry_out {
    (
        $turn:ident;
        $(
            $(#[$doc:meta])*
            $name:ident $({ $($(#[$with:meta])* $field:ident: $type:ty),+ })?
            $scope:ident $(($operation:ident: $target:expr))?,
            ($($told:tt)+),
            $lane:ident $kind:ident $(($done:expr))?;
        )*
    ) => {
        #[allow(unused_variables, reason = "an entry names of its fields those that it needs")]
        impl Turn {
            /// Does it, in a turn that may have to wait for it.
            #[inline]
            pub(super) async fn carry_out(&mut self, call: HostCall) -> Reply {
                let $turn = self;
                match call {
                    $(HostCall::$name $({ $($field),+ })? => carry_out!(@wait $lane $kind $(($done))?),)*
                }
            }

            /// Does it, where nothing waits: what would have to is not done.
            #[inline]
            pub(super) fn carry_out_now(&mut self, call: HostCall) -> Reply {
                let $turn = self;
                match call {
                    $(HostCall::$name $({ $($field),+ })? => carry_out!(@now $lane $kind $(($done))?),)*
                }
            }
        }
    };
    // The door knows nothing of what waits there: see `Turn::ask_elsewhere`.
    (@$when:ident elsewhere $kind:ident) => { Reply::Waits };
    (@wait now $kind:ident($done:expr)) => { Reply::$kind($done) };
    (@wait $waits:ident $kind:ident($done:expr)) => { Reply::$kind($done.await) };
    (@now now $kind:ident($done:expr)) => { Reply::$kind($done) };
    // Waits for nothing where it may not wait.
    (@now may_wait $kind:ident($done:expr)) => { ready($done).map_or(Reply::Waits, Reply::$kind) };
    (@now waits $kind:ident($done:expr)) => { Reply::Waits };
}

table!(carry_out);
