//! What is different for components of WASI 0.3: their functions may be tasks, which go on after they have returned.
//!
//! The rule of one turn at a time stays. A turn is over when the function has returned and no task of the guest runs
//! any more, and only then what it did is committed: what is left to do belongs to the turn, and to its deadline. What
//! the host still does for the guest (a stream that it reads, a time that it waits for) goes on when the next turn
//! runs; but for the body of a response, whose end belongs to the turn.
//!
//! The engine runs one store with tasks at a time on a thread. So a guest that has tasks does not run the one that it
//! calls, as others do: that one runs in its own task.

mod bodies;
mod bound;
mod file_door;
mod file_streams;
mod files;
mod host;
pub(super) mod http;
mod link;
mod room;
mod stacks;
mod task;

pub(super) use bound::{TooManyTasks, check_tasks, room};
pub(super) use link::add_to_linker;
pub(super) use stacks::count_stacks;
pub(super) use task::{call, settle};
