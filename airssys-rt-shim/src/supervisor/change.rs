//! Another spec for a supervisor that runs: its flags, the rules and the order of its children. It starts and stops
//! nobody.

use std::collections::HashSet;
use std::ops::Bound;
use std::time::Duration;

use crate::child::ChildId;
use crate::supervisor::children::{For, Status};
use crate::supervisor::decide::{Phase, ReplyId, State};
use crate::supervisor::error::ChildError;
use crate::supervisor::key::ChildKey;
use crate::supervisor::spec::{SupervisorSpec, check_child};

impl State {
    /// Takes another spec. Children that it has and the supervisor has not are added, and are down; those that it has
    /// not stay as they are, behind the others.
    pub(crate) fn change(&mut self, reply: ReplyId, spec: SupervisorSpec, now: Duration) -> Result<(), ChildError> {
        spec.validate()?;
        let named: HashSet<&ChildId> = spec.children.iter().map(|child| &child.id).collect();
        let left: Vec<ChildKey> =
            self.children.iter().filter(|(_, child)| !named.contains(&child.spec.id)).map(|(key, _)| key).collect();
        for (_, child) in self.children.iter().filter(|(key, _)| left.contains(key)) {
            check_child(&child.spec, spec.auto_shutdown)?;
        }
        let known = spec.children.iter().map(|child| self.children.find(&child.id));
        let order: Vec<Option<ChildKey>> = known.chain(left.into_iter().map(Some)).collect();
        // New ones go behind all others by themselves.
        let in_order = order.windows(2).all(|pair| match (pair[0], pair[1]) {
            (Some(before), Some(after)) => self.children.position(before) < self.children.position(after),
            (_, after) => after.is_none(),
        });
        let other_groups = self.strategy.is_group() != spec.strategy.is_group();
        if !in_order || other_groups {
            self.all_settled(other_groups)?;
        }
        let held_back = self.held_back();
        for child in spec.children {
            match self.children.find(&child.id) {
                Some(key) => self.children.respecify(key, child),
                None => drop(self.children.add(child)),
            }
        }
        if other_groups {
            self.dissolve_group();
        }
        self.strategy = spec.strategy;
        self.auto_shutdown = spec.auto_shutdown;
        self.backoff = spec.backoff;
        self.window.change(spec.intensity, spec.period);
        self.beyond = spec.beyond;
        self.children.rewindow(spec.intensity, spec.period);
        if !in_order {
            self.reorder(order);
        }
        if other_groups {
            held_back.into_iter().for_each(|key| self.start(key, For::Restart, now));
        } else if let Phase::StartingGroup { at, .. } = self.phase
            && let Some(first) = held_back.into_iter().map(|key| self.children.position(key)).min()
            && first < self.children.position(at)
        {
            // They are before the one that starts now, which they would wait for.
            self.dissolve_group();
            self.start_group(Bound::Included(first), false, now);
        }
        self.reply(reply, Ok(None));
        Ok(())
    }

    /// One on its way down may be wanted so, and one that somebody started waits for its end: neither may be swept up
    /// by a group. What is on its way up by itself may take long, and is waited for by nobody.
    fn all_settled(&self, other_groups: bool) -> Result<(), ChildError> {
        let unsettled = self.children.iter().find(|(_, child)| match child.status {
            Status::Starting(For::StartCommand(_) | For::RestartCommand(_)) => other_groups,
            Status::StartTimedOut(..) | Status::Stopping(_) => true,
            _ => false,
        });
        unsettled.map_or(Ok(()), |(_, child)| Err(ChildError::Unsettled { child: child.spec.id.clone() }))
    }

    /// Those that a group starts when another one of it has started.
    fn held_back(&self) -> Vec<ChildKey> {
        let first = match self.phase {
            Phase::StartingGroup { initial: false, at } => Some(self.children.position(at)),
            Phase::Idle if self.strategy.is_group() => {
                let waits = self.children.iter().find(|(_, child)| child.status == Status::Restarting);
                waits.map(|(key, _)| self.first_of_group(key))
            }
            _ => None,
        };
        let Some(first) = first else { return Vec::new() };
        let is_held_back =
            |key: &ChildKey| self.children.position(*key) >= first && self.children.status(*key) == Status::Down;
        self.children.keys().into_iter().filter(is_held_back).collect()
    }

    /// The one that a group waits for goes on by itself.
    fn dissolve_group(&mut self) {
        if let Phase::StartingGroup { initial: false, at } = self.phase {
            self.children.starts_for(at, For::Restart);
            self.phase = Phase::Idle;
        }
    }

    /// Puts all of them into this order; those that were just added stand where it has none.
    fn reorder(&mut self, order: Vec<Option<ChildKey>>) {
        let known: HashSet<ChildKey> = order.iter().flatten().copied().collect();
        let mut added = self.children.keys().into_iter().filter(|key| !known.contains(key));
        let order: Vec<ChildKey> = order.into_iter().filter_map(|key| key.or_else(|| added.next())).collect();
        self.children.reorder(&order);
    }
}
