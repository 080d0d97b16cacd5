//! What is looked at when a turn is over: it is compared, or a seed has said what comes of it. Nothing is where nothing
//! is compared and the host is not seeded.

use std::time::Duration;

use tokio::time::Instant;

use super::watch::Watching;
use crate::address::Address;
use crate::engine::{Answered, Instance, Ran};
use crate::error::Crash;
use crate::hint::Coded;
use crate::message::Envelope;
use crate::seeded::{Ended, InTurn, Moment, Said, Turn, UnderWay, push_sum};
use crate::turn::Identity;
use airssys_rt_shim::mailbox::InHand;

/// A turn of that kind that has begun.
#[derive(Default)]
pub(super) struct Begun {
    /// When it began, where two releases are compared.
    pub(super) watched: Option<Instant>,
    /// What a seed said of it, and what is kept until it is over.
    pub(super) said: Option<(Said, UnderWay)>,
}

impl Begun {
    /// The turn is over, and is not committed: it is compared, written down, and made to crash where it was to.
    pub(super) async fn over(
        &mut self,
        (identity, instance): (&Identity, &mut Instance),
        watching: Option<&mut Watching>,
        (hand, left): (&InHand<'_, Box<Envelope>>, Duration),
        ran: &mut Ran<Answered>,
    ) {
        if let (Some((said, under_way)), Some(seeded)) = (self.said.as_mut(), identity.mesh.seeded.as_ref()) {
            let instructions = instance.refuel(None);
            let has_crashed = matches!(ran, Ran::Crashed(_));
            match said.fault {
                Some(InTurn::Crash(moment)) if !has_crashed => *ran = Ran::Crashed(planned(moment)),
                Some(InTurn::Hang) if !has_crashed => {
                    let deadline = identity.terms.limits.turn_deadline;
                    // Boxed: each turn of a seeded host comes by here.
                    Box::pin(tokio::time::sleep(deadline)).await;
                    *ran = Ran::Crashed(Crash::Deadline { deadline });
                }
                // What comes of memory that is refused is the guest's own matter.
                _ => {}
            }
            let told = match ran {
                Ran::Done(Answered { body, commits }) => {
                    // As long as it is.
                    let mut told = String::with_capacity(32);
                    told.push_str(if *commits { "done answer " } else { "error answer " });
                    match body {
                        Some(body) => push_sum(&mut told, body),
                        None => told.push_str("none"),
                    }
                    told
                }
                Ran::Fault(fault) => format!("fault {fault}"),
                Ran::Crashed(crash) => format!("crash {}: {crash}", crash.code()),
            };
            seeded.ended(Ended {
                turn: turn_of(identity.address(), hand),
                outcome: &told,
                happens: ran.commits(),
                has_crashed: matches!(ran, Ran::Crashed(_)),
                shared: identity.mailbox.consumers() > 1,
                instructions,
            });
            under_way.is_over();
        }
        if let (Some(watching), Some(at)) = (watching, self.watched) {
            watching.end(at, hand, left, ran, instance.turn());
        }
    }
}

/// The crash that is wanted in that moment.
pub(super) fn planned(moment: Moment) -> Crash {
    Crash::Planned { moment: moment.to_string() }
}

/// A turn of an actor over a message, as a seed is asked about it.
pub(super) fn turn_of<'a>(actor: &'a Address, message: &'a Envelope) -> Turn<'a> {
    Turn {
        actor: actor.as_str(),
        id: message.id,
        sender: message.sender.as_ref().map(Address::as_str),
        key: message.partition(),
        delivery: message.delivery.name(),
        attempt: message.attempt,
        body: &message.body,
    }
}
