//! Engine classes: a pool's slot caps the guest, so a release's memory limit chooses the pool.
//!
//! A class is a wasmtime `Engine` with a pool of slots of one size, made when the first release needs it. Small slots
//! are twice as fast once many instances live, because they touch fewer pages of the page table; large ones need no
//! bounds checks.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use airssys_rt_shim::pulse::Pulse;
use wasmtime::Engine;

use super::cache::CodeCache;
use super::compiler::Compiler;
use super::error::EngineError;
use super::generation::Generation;
use super::linkers::Linkers;
use super::mappings::{
    InstancePermit, Instances, Mappings, PER_INSTANCE, PER_LONE_MEMORY, PER_MEMORY, PER_STACK, TooManyInstances,
};
use super::p3;
use super::pool::{Code, Meter, PoolShape, SLOTS, Tier, config};
use crate::limits::{InstanceLimits, Limits, TICK};
use crate::settings::BASELINE_FROM;

/// Instances that a class holds beyond those that were announced: what is being replaced lives beside its successor. As
/// many as its largest service has, within these bounds: each costs two of the kernel's mappings.
const SPARE: usize = 16;
const MOST_SPARE: usize = 1_000;

/// Settings of the engines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) struct EnginesSettings {
    /// Where compiled code is kept; none keeps none.
    pub(crate) code_cache: Option<PathBuf>,
    /// The most instances that may live at a time; default: as many as the kernel's mappings allow.
    pub(crate) max_instances: Option<usize>,
    /// From how many bytes on a component that is deployed is compiled by the baseline compiler first; default 4 MiB.
    pub(crate) baseline_from: Option<u64>,
    /// How many instances there may be with each set of limits. A class gets what its limits add up to, and some more
    /// for those that are replaced; a class of which nothing is said here gets as much as there is. A pool takes two
    /// mappings for each of its stacks when it is made, so classes that all could hold everything would use the
    /// kernel's mappings up without an instance.
    pub(crate) demand: BTreeMap<InstanceLimits, Demand>,
    /// The compiler that makes everything, and makes it once; none has the optimizing one make it, after the baseline
    /// one where that is said of its size.
    pub(crate) only: Option<Tier>,
    /// What turns are counted in. Where it is instructions there is no clock that ticks.
    pub(crate) meter: Meter,
    /// Whether a debugger of the machine is to know the source of what is compiled.
    pub(crate) for_debugger: bool,
}

/// How many instances there may be with one set of limits. Services have the same ones mostly, so there are few of
/// these.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Demand {
    /// Of all services together.
    all: usize,
    /// Of the one that has most.
    largest: usize,
}

impl Demand {
    /// Adds those of one service.
    pub(crate) fn add(&mut self, instances: usize) {
        self.all = self.all.saturating_add(instances);
        self.largest = self.largest.max(instances);
    }
}

/// All engine classes, and the clock that ticks them.
#[derive(Debug)]
pub(crate) struct Engines {
    /// Shared with the clock. The last one of a size is used.
    classes: Arc<Mutex<Vec<Class>>>,
    compiler: Compiler,
    baseline_from: AtomicU64,
    only: Option<Tier>,
    instances: Arc<Instances>,
    demand: BTreeMap<InstanceLimits, Demand>,
    pulse: Arc<Pulse>,
    cache: Option<CodeCache>,
    linkers: Linkers,
    code: Code,
    stop: Arc<AtomicBool>,
}

/// An engine whose instances have one shape.
#[derive(Debug)]
struct Class {
    shape: PoolShape,
    tier: Tier,
    generation: Generation,
    engine: Engine,
    /// Instances that it has room for: each takes two mappings from the moment when the class is made.
    share: usize,
    /// Instances that it has room for and nobody has announced.
    left: usize,
    /// Instances that were announced: where there are none, the class ends with the last release that uses it.
    announced: usize,
    /// The mappings of its pool: those of its stacks, and of the memories that have been in its slots.
    taken: Mappings,
    /// How many memories these are.
    warm: usize,
}

impl Class {
    /// A class of components of WASI 0.2, with a pool where the optimizing compiler makes them.
    fn new(shape: PoolShape, tier: Tier, instances: usize, left: usize, code: Code) -> Result<Self, EngineError> {
        Self::of(shape, tier, (instances, left), None, code)
    }

    /// The same, where its stacks are counted nowhere; otherwise one of WASI 0.3. It has no pool, and takes nothing
    /// before there is an instance.
    fn of(
        shape: PoolShape,
        tier: Tier,
        (instances, left): (usize, usize),
        counted: Option<&Arc<Instances>>,
        code: Code,
    ) -> Result<Self, EngineError> {
        let generation = if counted.is_some() { Generation::Wasi03 } else { Generation::Wasi02 };
        let has_pool = tier == Tier::Optimized && generation == Generation::Wasi02;
        let pool = if has_pool { instances.saturating_mul(PER_STACK) } else { 0 };
        let taken =
            Mappings::take(pool).map_err(|full| EngineError::NoMappings { instances, detail: full.to_string() })?;
        let mut config = config(shape, instances, tier, generation, code);
        if let Some(instances) = counted {
            p3::count_stacks(&mut config, instances);
        }
        let engine = Engine::new(&config).map_err(|error| EngineError::Config {
            instances,
            slot_bytes: shape.slot_bytes,
            source: error.into(),
        })?;
        Ok(Self { shape, tier, generation, engine, share: instances, left, announced: 0, taken, warm: 0 })
    }

    /// Whether it has a pool of this shape: instances are announced to these.
    fn has_pool_of(&self, shape: PoolShape) -> bool {
        (self.shape, self.tier, self.generation) == (shape, Tier::Optimized, Generation::Wasi02)
    }

    /// Counts the memories that are in its pool for the first time.
    fn settle(&mut self) -> Result<(), TooManyInstances> {
        if self.warm >= self.share.saturating_mul(self.shape.memories) {
            return Ok(());
        }
        // One that has none counts nothing.
        let Some(pool) = self.engine.pooling_allocator_metrics() else { return Ok(()) };
        let warm = pool.memories().saturating_add(usize::try_from(pool.unused_warm_memories()).unwrap_or(usize::MAX));
        if warm > self.warm {
            self.taken.take_more((warm - self.warm).saturating_mul(PER_MEMORY))?;
            self.warm = warm;
        }
        Ok(())
    }

    /// Itself, where anybody but this list has its engine or has announced instances.
    fn if_used(self, of: &Engines) -> Option<Self> {
        if self.announced > 0 {
            return Some(self);
        }
        of.linkers.forget(&self.engine);
        if let Some(cache) = &of.cache {
            cache.forget(&self.engine);
        }
        let weak = self.engine.weak();
        let Self { shape, tier, generation, engine, share, left, announced, taken, warm } = self;
        drop(engine);
        // Who has it has it for a release. It cannot come from here meanwhile: the list is locked.
        weak.upgrade().map(|engine| Self { shape, tier, generation, engine, share, left, announced, taken, warm })
    }
}

impl Engines {
    /// Engines that are made as they are needed.
    ///
    /// # Errors
    ///
    /// [`EngineError::Clock`].
    pub(crate) fn new(settings: &EnginesSettings) -> Result<Self, EngineError> {
        let stop = Arc::new(AtomicBool::new(false));
        let classes: Arc<Mutex<Vec<Class>>> = Arc::default();
        let (stopped, engines) = (Arc::clone(&stop), Arc::clone(&classes));
        let pulse: Arc<Pulse> = Arc::default();
        let beaten = Arc::clone(&pulse);
        let tick = move || {
            while !stopped.load(Ordering::Relaxed) {
                thread::sleep(TICK);
                for class in engines.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                    class.engine.increment_epoch();
                }
                beaten.beat();
            }
        };
        if settings.meter == Meter::Time {
            thread::Builder::new().name("airssys-tick".to_owned()).spawn(tick).map_err(EngineError::Clock)?;
        }
        Ok(Self {
            classes,
            compiler: Compiler::default(),
            baseline_from: settings.baseline_from.unwrap_or(BASELINE_FROM).into(),
            only: settings.only,
            instances: Arc::new(Instances::of_this_machine(settings.max_instances.unwrap_or(usize::MAX))),
            demand: settings.demand.clone(),
            pulse,
            cache: settings.code_cache.clone().map(CodeCache::new),
            linkers: Linkers::default(),
            code: Code { meter: settings.meter, for_debugger: settings.for_debugger },
            stop,
        })
    }

    /// The most instances that may live at a time, and the kernel's mappings, which that follows from.
    #[must_use]
    pub(crate) fn capacity(&self) -> (usize, usize) {
        (self.instances.most(), self.instances.mappings())
    }

    /// How many instances live.
    #[must_use]
    pub(crate) fn live_instances(&self) -> usize {
        self.instances.live()
    }

    /// The beat of the clock that ticks the engines.
    pub(crate) fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }

    pub(super) fn cache(&self) -> Option<&CodeCache> {
        self.cache.as_ref()
    }

    pub(super) fn linkers(&self) -> &Linkers {
        &self.linkers
    }

    /// Counts an instance in that is to be made with this engine.
    pub(super) fn permit(&self, engine: &Engine, limits: &Limits) -> Result<InstancePermit, TooManyInstances> {
        let memories = limits.memories.max(1);
        let lone = match engine.pooling_allocator_metrics() {
            // Those are the pool's.
            Some(_) => 0,
            None => memories.saturating_mul(PER_LONE_MEMORY).saturating_add(PER_STACK),
        };
        self.instances.take(memories, lone)
    }

    /// Counts what an instance has taken of a pool that was made with this engine.
    pub(super) fn settle(&self, engine: &Engine) -> Result<(), TooManyInstances> {
        let mut classes = self.classes.lock().unwrap_or_else(PoisonError::into_inner);
        let class = classes.iter_mut().find(|class| Engine::same(&class.engine, engine));
        class.map_or(Ok(()), Class::settle)
    }

    pub(crate) fn compiler(&self) -> &Compiler {
        &self.compiler
    }

    /// Whether a component of this size is to be compiled by the baseline compiler first.
    pub(super) fn takes_long(&self, size: usize) -> bool {
        // The baseline compiler tells a debugger nothing.
        self.only.is_none() && !self.code.for_debugger && size as u64 >= self.baseline_from.load(Ordering::Relaxed)
    }

    /// See [`EnginesSettings::baseline_from`].
    pub(crate) fn set_baseline_from(&self, bytes: u64) {
        self.baseline_from.store(bytes, Ordering::Relaxed);
    }

    /// [`Engines::class`], with the baseline compiler. Instances of it have no slots kept for them: they are few, and
    /// not for long.
    pub(super) fn baseline_class(&self, limits: &Limits, generation: Generation) -> Result<Engine, EngineError> {
        self.class_of(&limits.of_instance(), Tier::Baseline, generation)
    }

    /// The compiler of what is to stay.
    pub(super) fn tier(&self) -> Tier {
        self.only.unwrap_or(Tier::Optimized)
    }

    /// The engine of the class for these limits, and for components of this generation of WASI.
    pub(super) fn class(&self, limits: &Limits, generation: Generation) -> Result<Engine, EngineError> {
        self.class_of(&limits.of_instance(), self.tier(), generation)
    }

    fn class_of(&self, limits: &InstanceLimits, tier: Tier, generation: Generation) -> Result<Engine, EngineError> {
        let (memory_bytes, most_bytes) = (limits.memory_bytes, SLOTS[SLOTS.len() - 1]);
        let shape = PoolShape::of(limits).ok_or(EngineError::TooLarge { memory_bytes, most_bytes })?;
        let mut classes = self.classes.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = (shape, tier, generation);
        if let Some(class) = classes.iter().rfind(|class| (class.shape, class.tier, class.generation) == asked) {
            return Ok(class.engine.clone());
        }
        self.sweep(&mut classes);
        if generation.has_tasks() {
            let class = Class::of(shape, tier, (0, 0), Some(&self.instances), self.code)?;
            let engine = class.engine.clone();
            classes.push(class);
            return Ok(engine);
        }
        let demands =
            || self.demand.iter().filter(|(limits, _)| PoolShape::of(limits) == Some(shape)).map(|(_, demand)| demand);
        let announced = demands().map(|demand| demand.all).fold(0, usize::saturating_add);
        // All actors of one service at a time may be there twice, as far as that is no room of others.
        let others = self.demand.values().map(|demand| demand.all).fold(0, usize::saturating_add);
        let spare = demands().map(|demand| demand.largest).max().unwrap_or_default().min(MOST_SPARE);
        let spare = spare.min(self.instances.most().saturating_sub(others)).max(SPARE);
        let most = self.instances.most() / shape.memories;
        let share = match announced {
            // Nobody says how many there will be: as many as others in this process leave.
            0 if self.demand.is_empty() => most.min(Mappings::left() / PER_INSTANCE / shape.memories).max(1),
            // For what is deployed to a mesh whose limits have another shape. All that there is would take the kernel's
            // mappings away from the others.
            0 => self.share_of_another(&classes, tier)?.min(most),
            announced => announced.saturating_add(spare).min(most),
        };
        let left = share.saturating_sub(announced.saturating_add(spare));
        let mut class = Class::new(shape, tier, share, left, self.code)?;
        class.announced = announced;
        let engine = class.engine.clone();
        classes.push(class);
        Ok(engine)
    }

    /// Forgets the classes that nobody uses any more, with the room that their pools take.
    fn sweep(&self, classes: &mut Vec<Class>) {
        let all = std::mem::take(classes);
        classes.extend(all.into_iter().filter_map(|class| class.if_used(self)));
    }

    /// For how many instances a class is made that nobody has announced: as many as any service has, and 1,000 where
    /// there is room for that beside the other classes. So all classes together never have room for more instances than
    /// this machine holds, and some more for those that were announced.
    fn share_of_another(&self, classes: &[Class], tier: Tier) -> Result<usize, EngineError> {
        let largest = self.demand.values().map(|demand| demand.largest).max().unwrap_or_default().max(1);
        if tier == Tier::Baseline {
            return Ok(largest);
        }
        let pools = classes.iter().filter(|class| class.has_pool_of(class.shape));
        let (shapes, taken) =
            pools.fold((0, 0_usize), |(shapes, taken), class| (shapes + 1, taken.saturating_add(class.share)));
        let most = self.instances.most();
        let room = most.saturating_sub(taken);
        if room < largest {
            return Err(EngineError::TooManyShapes { shapes, taken, most });
        }
        Ok(largest.max(MOST_SPARE).min(room))
    }

    /// So many more instances there may be from now on, with each memory limit in bytes. Where a class has no room for
    /// them it gets another engine, for the releases that are loaded from now on.
    pub(crate) fn announce(&self, more: &[(InstanceLimits, usize)]) -> Result<(), EngineError> {
        let mut shapes: Vec<(PoolShape, usize)> = Vec::new();
        for (limits, count) in more.iter().filter(|(_, count)| *count > 0) {
            let Some(shape) = PoolShape::of(limits) else { continue };
            match shapes.iter_mut().find(|(known, _)| *known == shape) {
                Some((_, sum)) => *sum += count,
                None => shapes.push((shape, *count)),
            }
        }
        for (shape, more) in shapes {
            let mut classes = self.classes.lock().unwrap_or_else(PoisonError::into_inner);
            match classes.iter_mut().rfind(|class| class.has_pool_of(shape)) {
                Some(class) if class.left >= more => {
                    class.left -= more;
                    class.announced += more;
                }
                _ => {
                    self.sweep(&mut classes);
                    let share = more.saturating_add(SPARE).min(self.instances.most() / shape.memories);
                    let class = Class::new(shape, Tier::Optimized, share, 0, self.code)?;
                    classes.push(Class { announced: more, ..class });
                }
            }
        }
        Ok(())
    }

    /// Takes back what was announced.
    pub(crate) fn recall(&self, fewer: &[(InstanceLimits, usize)]) {
        let mut classes = self.classes.lock().unwrap_or_else(PoisonError::into_inner);
        for (limits, count) in fewer {
            let (Some(shape), mut count) = (PoolShape::of(limits), *count) else { continue };
            let class = |class: &&mut Class| class.has_pool_of(shape);
            // Those that were announced last first: they may be in another class of the same shape than the others.
            for class in classes.iter_mut().rev().filter(class) {
                let of_this = count.min(class.announced);
                class.announced -= of_this;
                class.left += of_this;
                count -= of_this;
            }
        }
    }
}

impl Drop for Engines {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// An engine of the class that the default limits choose, or these with so much memory, with at most so many instances,
/// and what keeps its clock going: the pool on which the benches measure plain wasmtime.
#[doc(hidden)]
pub fn plain_engine(
    max_instances: Option<usize>,
    memory_bytes: Option<u64>,
) -> Result<(impl Send + Sync, Engine), EngineError> {
    let engines = Engines::new(&EnginesSettings { max_instances, ..EnginesSettings::default() })?;
    let limits = Limits::default();
    let limits = Limits { memory_bytes: memory_bytes.unwrap_or(limits.memory_bytes), ..limits };
    let engine = engines.class(&limits, Generation::Wasi02)?;
    Ok((engines, engine))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use std::collections::BTreeMap;

    use super::{Demand, EngineError, Engines, EnginesSettings, Generation};
    use crate::limits::{InstanceLimits, Limits};

    fn with_stack(kib: usize) -> Limits {
        Limits { stack_bytes: kib << 10, ..Limits::default() }
    }

    /// Engines for a mesh with one instance of the usual shape, on a machine that holds 3,000.
    fn engines() -> Engines {
        let demand = BTreeMap::from([(Limits::default().of_instance(), Demand { all: 1, largest: 1 })]);
        Engines::new(&EnginesSettings { max_instances: Some(3_000), demand, ..EnginesSettings::default() }).unwrap()
    }

    fn shapes(engines: &Engines) -> usize {
        engines.classes.lock().unwrap().len()
    }

    #[test]
    fn a_class_that_nobody_uses_any_more_makes_room_for_another() {
        let engines = engines();
        let _usual = engines.class(&Limits::default(), Generation::Wasi02).unwrap();
        for kib in 600..700 {
            let other = engines.class(&with_stack(kib), Generation::Wasi02).unwrap();
            assert!(shapes(&engines) <= 2, "the usual one, and this");
            drop(other);
        }
        let again = engines.class(&Limits::default(), Generation::Wasi02).unwrap();
        assert!(wasmtime::Engine::same(&again, &_usual), "what was announced stays");
    }

    #[test]
    fn classes_that_are_all_in_use_have_room_for_no_more_than_the_machine_holds() {
        let engines = engines();
        let _usual = engines.class(&Limits::default(), Generation::Wasi02).unwrap();
        let mut used = Vec::new();
        let refused = loop {
            match engines.class(&with_stack(600 + used.len()), Generation::Wasi02) {
                Ok(engine) => used.push(engine),
                Err(error) => break error,
            }
        };
        let shares: usize = engines.classes.lock().unwrap().iter().map(|class| class.share).sum();
        assert_eq!((used.len(), shares), (3, 3_000));
        assert!(matches!(refused, EngineError::TooManyShapes { shapes: 4, taken: 3_000, most: 3_000 }), "{refused}");
        // One less, and there is room again.
        used.pop();
        used.push(engines.class(&with_stack(900), Generation::Wasi02).unwrap());
        assert_eq!(shapes(&engines), 4);
    }

    #[test]
    fn what_is_announced_stays_until_it_is_taken_back_from_whatever_class_has_it() {
        let engines = engines();
        let limits: InstanceLimits = with_stack(700).of_instance();
        engines.announce(&[(limits, 10)]).unwrap();
        engines.announce(&[(limits, 100)]).unwrap();
        drop(engines.class(&with_stack(800), Generation::Wasi02).unwrap());
        drop(engines.class(&with_stack(801), Generation::Wasi02).unwrap());
        assert_eq!(shapes(&engines), 3, "two for those that were announced");
        engines.recall(&[(limits, 110)]);
        drop(engines.class(&with_stack(802), Generation::Wasi02).unwrap());
        assert_eq!(shapes(&engines), 1);
    }
}
