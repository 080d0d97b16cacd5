//! The stacks of guests that have tasks: each task that waits within a call has one, so an instance may have many, and
//! each takes two of the kernel's mappings. So each counts as an instance does, and one too many is refused to who asks
//! for it; without that, one guest could take the mappings of all others.

use std::ops::Range;
use std::ptr;
use std::sync::Arc;

use wasmtime::{Config, StackCreator, StackMemory};

use crate::engine::mappings::{InstancePermit, Instances, PER_STACK};

/// Has each stack of an engine counted among these instances.
pub(in crate::engine) fn count_stacks(config: &mut Config, instances: &Arc<Instances>) {
    config.with_host_stack(Arc::new(Stacks(Arc::clone(instances))));
}

/// Makes stacks, as many as the machine's mappings allow beside its instances.
struct Stacks(Arc<Instances>);

/// A stack, above a page that nobody may touch.
struct Stack {
    /// Where that page begins.
    begin: usize,
    page: usize,
    size: usize,
    _permit: InstancePermit,
}

// SAFETY: a new mapping begins at a page, is zero, and its lowest page stays without access.
#[allow(unsafe_code, reason = "the engine makes stacks of its own where it cannot be asked to count them")]
unsafe impl StackCreator for Stacks {
    fn new_stack(&self, size: usize, _zeroed: bool) -> wasmtime::Result<Box<dyn StackMemory>> {
        let permit = self.0.take(1, PER_STACK)?;
        let page = rustix::param::page_size();
        let size = size.next_multiple_of(page);
        let failed = |what: &str| {
            let error = wasmtime::Error::from(std::io::Error::last_os_error());
            error.context(format!("no stack for a task: {what}"))
        };
        // SAFETY: a mapping of its own, which nothing else lies in.
        let begin = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            libc::mmap(ptr::null_mut(), page + size, libc::PROT_NONE, flags, -1, 0)
        };
        if begin == libc::MAP_FAILED {
            return Err(failed("mmap"));
        }
        let stack = Stack { begin: begin.expose_provenance(), page, size, _permit: permit };
        // SAFETY: all but the lowest page of the mapping that was just made.
        let made = unsafe { libc::mprotect(begin.byte_add(page), size, libc::PROT_READ | libc::PROT_WRITE) };
        if made == 0 { Ok(Box::new(stack)) } else { Err(failed("mprotect")) }
    }
}

// SAFETY: as above; it is unmapped when it is dropped, and not before.
#[allow(unsafe_code, reason = "see above")]
unsafe impl StackMemory for Stack {
    fn top(&self) -> *mut u8 {
        ptr::with_exposed_provenance_mut(self.begin + self.page + self.size)
    }

    fn range(&self) -> Range<usize> {
        self.begin + self.page..self.begin + self.page + self.size
    }

    fn guard_range(&self) -> Range<*mut u8> {
        ptr::with_exposed_provenance_mut(self.begin)..ptr::with_exposed_provenance_mut(self.begin + self.page)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: it is the mapping that was made for this stack, and whoever ran on it is gone.
        #[allow(unsafe_code, reason = "see above")]
        let _nothing_can_be_done =
            unsafe { libc::munmap(ptr::with_exposed_provenance_mut(self.begin), self.page + self.size) };
    }
}
