//! A plain ractor actor that owns a store and calls its guest: what somebody writes who has no host.

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::task::JoinHandle;

use super::Owned;

/// What it is told.
pub(crate) enum Msg {
    Tell(Vec<u8>),
    Ask(Vec<u8>, RpcReplyPort<Vec<u8>>),
}

/// One that runs.
#[derive(Clone)]
pub(crate) struct Plain(ActorRef<Msg>);

/// What it owns.
pub(crate) struct State {
    /// None: it has no guest, and answers with the question.
    owned: Option<Owned>,
    /// Whom it asks after its own turn, before it answers.
    next: Option<Plain>,
}

struct Actors;

impl Actor for Actors {
    type Msg = Msg;
    type State = State;
    type Arguments = State;

    async fn pre_start(&self, _: ActorRef<Msg>, state: State) -> Result<State, ActorProcessingErr> {
        Ok(state)
    }

    async fn handle(&self, _: ActorRef<Msg>, message: Msg, state: &mut State) -> Result<(), ActorProcessingErr> {
        match message {
            Msg::Tell(body) => {
                let answer = match &mut state.owned {
                    Some(owned) => owned.tell(&body).await,
                    None => Some(body),
                };
                std::hint::black_box(answer);
            }
            Msg::Ask(body, reply) => {
                let mut answer = match &mut state.owned {
                    Some(owned) => owned.ask(&body).await,
                    None => body,
                };
                if let Some(next) = &state.next {
                    answer = next.ask(answer).await;
                }
                reply.send(answer)?;
            }
        }
        Ok(())
    }
}

impl Plain {
    /// Starts one over this store, or over none.
    pub(crate) async fn start(owned: impl Into<Option<Owned>>, next: Option<Self>) -> (Self, JoinHandle<()>) {
        let (actor, task) =
            Actor::spawn(None, Actors, State { owned: owned.into(), next }).await.expect("a plain actor");
        (Self(actor), task)
    }

    pub(crate) fn tell(&self, body: Vec<u8>) {
        self.0.cast(Msg::Tell(body)).expect("cast");
    }

    pub(crate) async fn ask(&self, body: Vec<u8>) -> Vec<u8> {
        ractor::call!(self.0, Msg::Ask, body).expect("answered")
    }

    /// Stops it, and waits until its store is gone.
    pub(crate) async fn stop(&self) {
        self.0.stop_and_wait(None, None).await.expect("stopped");
    }
}
