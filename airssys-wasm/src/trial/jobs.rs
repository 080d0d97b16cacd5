//! Many runs on several threads, of which what comes of them is looked at in their own order.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use airssys_rt_shim::planted::Planted;

/// Runs these on so many threads, and gives what comes of each to `take`, the first one first, until that breaks off.
/// What was begun by then is waited for, and dropped: so what is taken does not depend on the number of threads.
pub(super) fn in_order<T: Sync, R: Send>(
    tasks: &[T],
    jobs: usize,
    run: impl Fn(&T) -> R + Sync,
    mut take: impl FnMut(&T, R) -> ControlFlow<()>,
) -> ControlFlow<()> {
    if jobs <= 1 {
        return tasks.iter().try_for_each(|task| take(task, run(task)));
    }
    let (next, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (tell, told) = mpsc::channel();
    thread::scope(|threads| {
        for _ in 0..jobs.min(tasks.len()) {
            let (next, is_over, run, tell) = (&next, &is_over, &run, tell.clone());
            let planted = Planted::here();
            threads.spawn(move || {
                planted.plant();
                while !is_over.load(Ordering::Relaxed) {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(task) = tasks.get(at) else { return };
                    // Nobody listens any more where that has broken off.
                    let _unless_it_is_over = tell.send((at, run(task)));
                }
            });
        }
        drop(tell);
        let mut waiting = BTreeMap::new();
        for task in 0..tasks.len() {
            while !waiting.contains_key(&task) {
                // A thread that panicked has told nothing, and the scope panics with it.
                let Ok((at, result)) = told.recv() else { return ControlFlow::Break(()) };
                waiting.insert(at, result);
            }
            if let (Some(of), Some(result)) = (tasks.get(task), waiting.remove(&task))
                && take(of, result).is_break()
            {
                is_over.store(true, Ordering::Relaxed);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    })
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::in_order;

    #[test]
    fn what_is_taken_does_not_depend_on_the_threads() {
        let tasks: Vec<u64> = (0..200).collect();
        for jobs in [0, 1, 2, 7, 500] {
            let mut taken = Vec::new();
            let ended = in_order(
                &tasks,
                jobs,
                |task| {
                    // The later ones are done first.
                    (0..(200 - task) * 10).for_each(|_| std::thread::yield_now());
                    task * 2
                },
                |task, double| {
                    taken.push((*task, double));
                    if *task == 120 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                },
            );
            assert!(ended.is_break());
            assert_eq!(taken, (0..=120).map(|task| (task, task * 2)).collect::<Vec<_>>());
        }
        assert!(in_order(&[(); 0], 2, |()| (), |(), ()| ControlFlow::Break(())).is_continue());
    }
}
