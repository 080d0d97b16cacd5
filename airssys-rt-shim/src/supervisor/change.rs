//! Another spec for a supervisor that runs: its flags, the rules and the order of its children. It starts and stops nobody.

use std::collections::{HashMap, HashSet};

use crate::child::ChildId;
use crate::supervisor::children::{ChildKey, Status};
use crate::supervisor::decide::{Action, Deferred, ReplyId, State};
use crate::supervisor::error::ChildError;
use crate::supervisor::spec::{SupervisorSpec, check_child};

impl State {
    /// Takes another spec. Children that it has and the supervisor has not are added, and are down; those that it has not stay as they are, behind the others.
    pub(crate) fn change(&mut self, reply: ReplyId, spec: SupervisorSpec) -> Result<(), ChildError> {
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
            (Some(before), Some(after)) => before < after,
            (_, after) => after.is_none(),
        });
        if !in_order || self.strategy.is_group() != spec.strategy.is_group() {
            self.all_settled()?;
        }
        for child in spec.children {
            match self.children.find(&child.id) {
                Some(key) => self.children.respecify(key, child),
                None => drop(self.children.add(child)),
            }
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
        self.reply(reply, Ok(ChildKey::FIRST));
        Ok(())
    }

    /// One that is on its way up knows its key, and one on its way down may be wanted so: neither may be swept up by a group or get another key.
    fn all_settled(&self) -> Result<(), ChildError> {
        let unsettled =
            self.children.iter().find(|(_, child)| child.status.is_live() && child.status != Status::Running);
        unsettled.map_or(Ok(()), |(_, child)| Err(ChildError::Unsettled { child: child.spec.id.clone() }))
    }

    /// Gives all of them new keys, in this order; those that were just added stand where it has none.
    fn reorder(&mut self, order: Vec<Option<ChildKey>>) {
        let known: HashSet<ChildKey> = order.iter().flatten().copied().collect();
        let mut added =
            self.children.keys().into_iter().filter(|key| !known.contains(key)).collect::<Vec<_>>().into_iter();
        let order: Vec<ChildKey> = order.into_iter().filter_map(|key| key.or_else(|| added.next())).collect();
        let renumbered: HashMap<ChildKey, ChildKey> = self.children.renumber(&order);
        for deferred in &mut self.deferred {
            match deferred {
                Deferred::Exit { child, .. } | Deferred::TryAgain(child) | Deferred::Resume(child) => {
                    *child = renumbered.get(child).copied().unwrap_or(*child);
                }
                Deferred::Command { .. } => {}
            }
        }
        self.actions.push(Action::Renumber(renumbered));
    }
}
