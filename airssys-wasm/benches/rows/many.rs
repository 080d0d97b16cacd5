//! Rows `many/*`: a message told to each of 10,000 live actors in turn. Both sides run in processes of their own:
//! together they would have more mappings than the kernel allows.
//!
//! Floor: a raw call over 10,000 stores in turn, on one thread, plus a ractor cast to one actor without a store; the
//! sum of both. Told beside it: 10,000 plain actors that own the stores, by cast in turn, which is the harder one: its
//! calls run on all threads.

use std::sync::Arc;
use std::time::Instant;

use airssys_wasm::Runtime;
use airssys_wasm::command::Lane;
use tokio::sync::Mutex;

use crate::child::{Measuring, serve};
use crate::floor::{Floor, Owned, Plain};
use crate::host::{self, body};
use crate::measure::{Series, nanos_each};
use crate::report::Row;
use crate::tell;
use crate::{Bench, times};

pub(crate) const ACTORS: usize = times(10_000);
/// How often each gets one in a round.
const PASSES: usize = times(30);

pub(crate) async fn rows(bench: &Bench, lane: Lane) -> Vec<Row> {
    let [mut ours, mut sum, mut floor] =
        ["ours", "sum", "floor"].map(|side| Measuring::start(bench, "many", side, lane, ACTORS));
    let (mut to_sum, mut to_floor) = (Series::default(), Series::default());
    for round in 0..=bench.rounds {
        let [ours, sum, floor] = [&mut ours, &mut sum, &mut floor].map(Measuring::measure);
        if round > 0 {
            to_sum.ours.push(ours);
            to_sum.floor.push(sum);
            to_floor.ours.push(ours);
            to_floor.floor.push(floor);
        }
    }
    let name = format!("many/{}", crate::lane_name(lane));
    vec![
        Row::new(&name, "ns/message", 1.3, to_sum),
        Row::new(format!("{name}/owning-actors"), "ns/message", None, to_floor),
    ]
}

/// Tells each in turn, many times; at the end of each pass the last one is asked, so that the next pass finds them
/// idle, and after the last pass all of them are, so that nothing is left undone.
macro_rules! in_turn {
    ($actors:expr, $tell:expr, $ask:expr) => {{
        let begun = Instant::now();
        for _ in 0..PASSES {
            for actor in &$actors[..$actors.len() - 1] {
                $tell(actor).await;
            }
            $ask(&$actors[$actors.len() - 1]).await;
        }
        for actor in &$actors[..] {
            $ask(actor).await;
        }
        nanos_each(begun.elapsed(), $actors.len() * (PASSES + 1))
    }};
}

/// The host's process.
pub(crate) async fn ours(bench: &Bench, lane: Lane, actors: usize) {
    let mesh = host::start(bench, host::services(bench, actors, "echo", lane)).await;
    let names: Arc<[String]> = (0..actors).map(host::name).collect();
    serve(|| round_of_ours(Arc::clone(&mesh), Arc::clone(&names))).await;
}

async fn round_of_ours(mesh: Arc<Runtime>, names: Arc<[String]>) -> f64 {
    let tell = async |name: &String| mesh.send(name, body()).await.expect("sent");
    let ask = async |name: &String| host::ask(&mesh, name).await;
    in_turn!(names, tell, ask)
}

/// The process of the floor that is told beside: actors that own the stores.
pub(crate) async fn floor(bench: &Bench, lane: Lane, actors: usize) {
    let floor = Floor::new(bench, "echo", lane);
    let mut all = Vec::with_capacity(actors);
    for _ in 0..actors {
        all.push(floor.spawn().await);
    }
    let all: Arc<[Plain]> = all.into();
    serve(|| round_of_casts(Arc::clone(&all))).await;
}

async fn round_of_casts(all: Arc<[Plain]>) -> f64 {
    let tell = async |plain: &Plain| plain.tell(body());
    let ask = async |plain: &Plain| plain.ask(body()).await;
    in_turn!(all, tell, ask)
}

/// The process of the row's floor: stores without actors, and an actor without a store.
pub(crate) async fn sum(bench: &Bench, lane: Lane, actors: usize) {
    let floor = Floor::new(bench, "echo", lane);
    let mut stores = Vec::with_capacity(actors);
    for _ in 0..actors {
        stores.push(floor.instantiate(None).await);
    }
    let stores = Arc::new(Mutex::new(stores));
    let (empty, _) = Plain::start(None, None).await;
    serve(|| {
        let (stores, empty) = (Arc::clone(&stores), empty.clone());
        async move { round_of_calls(&mut stores.lock().await).await + tell::cast(empty).await }
    })
    .await;
}

async fn round_of_calls(stores: &mut [Owned]) -> f64 {
    let begun = Instant::now();
    for _ in 0..PASSES {
        for owned in &mut *stores {
            let body = body();
            std::hint::black_box(owned.tell(&body).await);
        }
    }
    nanos_each(begun.elapsed(), stores.len() * PASSES)
}
