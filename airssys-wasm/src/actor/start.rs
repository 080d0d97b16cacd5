//! Makes an instance that is ready to serve, beside whatever serves meanwhile. What its start does is held back until
//! it is committed.

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::before::Before;
use super::serving::Serving;
use crate::engine::{Engines, Instance, Ran};
use crate::error::{Crash, Stage};
use crate::settings::Terms;
use crate::state::{NO_MESSAGE, Saved, State, Transaction};
use crate::turn::Identity;

/// Makes an instance that is ready to serve: the state is brought over where it is in another schema, then `init`, then
/// the first health check; all within the release's `start_timeout`. Its effects are held back until it is committed.
pub(crate) async fn start(engines: &Engines, serving: &Serving) -> Result<Prepared, Crash> {
    let limit = serving.identity.terms.limits.start_timeout;
    let until = Instant::now() + limit;
    let late = |_elapsed| Crash::late_start(limit);
    // Boxed: whatever waits with a future copies it, and what waits with that copies it once more.
    let mut instance = timeout_at(until, Box::pin(make(engines, serving))).await.map_err(late)??;
    let (read_at, brought_over) = bring_all_over(&mut instance, serving, until).await?;
    timeout_at(until, Box::pin(begin(&mut instance, serving))).await.map_err(late)??;
    Ok(Prepared { instance, read_at, brought_over })
}

/// An instance that is ready to serve, and what its start has read.
pub(crate) struct Prepared {
    pub(crate) instance: Instance,
    /// The state's age before its start looked at the state.
    pub(super) read_at: u64,
    /// The states of keys that it brought over.
    pub(super) brought_over: Vec<BroughtOver>,
}

/// A state that was brought over to the release's schema and is not committed yet.
pub(super) struct BroughtOver {
    pub(super) state: Arc<State>,
    pub(super) writes: Transaction,
    pub(super) read_at: u64,
}

impl Prepared {
    /// Whether what it would commit stands on a state that is not there any more.
    pub(super) fn is_stale(&mut self) -> bool {
        let identity = Arc::clone(&self.instance.turn().identity);
        // A key may have come since.
        let foreign = identity.own.foreign_states(identity.terms.schema).len();
        let turn = self.instance.turn();
        foreign != self.brought_over.len()
            || self.brought_over.iter().any(|brought| brought.state.age() != brought.read_at)
            || turn.state.as_ref().is_some_and(|state| match turn.writes.is_empty() {
                // Nobody had written to it, and then the release before did.
                true => state.forgotten() > self.read_at || state.foreign(identity.terms.schema).is_some(),
                false => state.age() != self.read_at,
            })
    }

    /// What the states are that it brings over. One that nobody has written to is brought over from the schema of the
    /// release before: what is written from now on that release cannot read.
    pub(super) fn saves(&mut self, schema_before: Option<u32>) -> Before {
        let turn = self.instance.turn();
        let schema = turn.identity.terms.schema;
        let unwritten = schema_before.unwrap_or(schema);
        let own = turn.state.iter().filter(|state| state.schema().unwrap_or(unwritten) != schema);
        let own = own.map(|state| Saved::before(state, unwritten, u64::from(turn.writes.is_turn())));
        let keys = self.brought_over.iter().map(|brought| Saved::before(&brought.state, unwritten, 0));
        keys.chain(own).collect()
    }

    /// Makes what its start did happen.
    pub(super) async fn commit(mut self) -> Result<Instance, Crash> {
        let schema = self.instance.turn().identity.terms.schema;
        for BroughtOver { state, writes, .. } in self.brought_over {
            writes.make(&state, schema).await?;
        }
        commit(&mut self.instance, NO_MESSAGE).await?;
        Ok(self.instance)
    }
}

/// Whether a release can bring these states over, where they are in another schema. What it makes of them is thrown
/// away.
pub(crate) async fn reads(engines: &Engines, serving: &Serving, saved: &[Before]) -> Result<(), Crash> {
    let terms = &serving.identity.terms;
    let saved = saved.iter().flat_map(|saved| saved.iter());
    let foreign: Vec<&Saved> = saved.filter(|saved| saved.is_written() && saved.schema() != terms.schema).collect();
    if foreign.is_empty() {
        return Ok(());
    }
    let limit = terms.limits.start_timeout;
    let late = |_elapsed| Crash::late_start(limit);
    let mut instance = timeout_at(Instant::now() + limit, make(engines, serving)).await.map_err(late)??;
    for saved in foreign {
        instance.turn().state = Some(Arc::new(saved.copy()));
        bring_over(&mut instance, saved.schema(), terms, Instant::now() + limit).await?;
        instance.turn().discard();
    }
    Ok(())
}

async fn make(engines: &Engines, serving: &Serving) -> Result<Instance, Crash> {
    if let Some(durable) = &serving.identity.service.durable {
        durable.settle().await;
    }
    if let Some(damage) = serving.identity.own.states.damage() {
        return Err(damage);
    }
    Instance::new(engines, &serving.template, Arc::clone(&serving.identity)).await
}

/// Lets a new instance bring over what is in another schema; how far its state was read, and what was brought over of a
/// pool's.
async fn bring_all_over(
    instance: &mut Instance,
    serving: &Serving,
    until: Instant,
) -> Result<(u64, Vec<BroughtOver>), Crash> {
    let Identity { terms, own, .. } = &*serving.identity;
    let (mut read_at, mut brought_over) = (0, Vec::new());
    if own.has_state_per_key() {
        for (key, state, from) in own.foreign_states(terms.schema) {
            let read_at = state.age();
            instance.turn().state = Some(Arc::clone(&state));
            instance.turn().key = Some(key);
            Box::pin(bring_over(instance, from, terms, until)).await?;
            brought_over.push(BroughtOver { state, writes: std::mem::take(&mut instance.turn().writes), read_at });
        }
        instance.turn().state = None;
        instance.turn().key = None;
    } else if let Some(state) = own.states.state(None) {
        read_at = state.age();
        let from = state.foreign(terms.schema);
        instance.turn().state = Some(state);
        if let Some(from) = from {
            Box::pin(bring_over(instance, from, terms, until)).await?;
        }
    }
    Ok((read_at, brought_over))
}

async fn begin(instance: &mut Instance, serving: &Serving) -> Result<(), Crash> {
    let deadline = serving.identity.terms.limits.turn_deadline;
    match instance.init(deadline).await {
        Ran::Done(()) => {}
        Ran::Fault(fault) => return Err(Crash::Start { during: Stage::Init, fault }),
        Ran::Crashed(crash) => return Err(crash),
    }
    instance.turn().put_aside();
    let checked = instance.check(deadline).await;
    instance.turn().take_up();
    match checked {
        Ran::Done(()) => Ok(()),
        Ran::Fault(fault) => Err(Crash::Start { during: Stage::HealthCheck, fault }),
        Ran::Crashed(crash) => Err(crash),
    }
}

/// Lets a guest bring the state of its turn over. Any way to fail is one, also to be late: the state is not the
/// release's.
async fn bring_over(instance: &mut Instance, found: u32, terms: &Terms, until: Instant) -> Result<(), Crash> {
    let (wanted, limits) = (terms.schema, &terms.limits);
    let migrated = match timeout_at(until, instance.migrate(found, limits.turn_deadline)).await {
        Ok(migrated) => migrated,
        Err(_elapsed) => Some(Ran::Crashed(Crash::late_start(limits.start_timeout))),
    };
    let detail = match migrated {
        Some(Ran::Done(())) => {
            instance.turn().writes.bring_over();
            return Ok(());
        }
        Some(Ran::Fault(fault)) => format!("its migrate failed: {fault}"),
        Some(Ran::Crashed(crash)) => format!("its migrate crashed: {crash}"),
        None => "it exports no upgrade, and cannot bring it over".to_owned(),
    };
    Err(Crash::Schema { found, wanted, detail })
}

/// Makes what the guest did over the message `id` happen. What it wrote to a durable state is waited for, outside of
/// the guest; nothing else is.
///
/// Cut off meanwhile, it happens all the same or not at all; the next incarnation waits until that is known.
pub(super) async fn commit(instance: &mut Instance, id: u64) -> Result<(), Crash> {
    match instance.turn().save(id) {
        Some(saving) => saving.done().await?,
        None => instance.turn().commit(),
    }
    committed(&instance.turn().identity, id);
    Ok(())
}

/// Tells a seeded host of a commit.
pub(super) fn committed(identity: &Identity, id: u64) {
    if let Some(seeded) = &identity.mesh.seeded {
        seeded.committed(identity.address().as_str(), (id != NO_MESSAGE).then_some(id));
    }
}
