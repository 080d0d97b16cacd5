//! Measuring in processes of their own: this binary, started again. So the allocator and the kernel's mappings of one
//! side do not burden the other.
//!
//! A child reads a line for each round that it is to measure, answers with a line that is a figure, and ends with its
//! standard input.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use airssys_wasm::command::Lane;

use crate::{Bench, many, memory};

/// A process that measures one side.
pub(crate) struct Measuring {
    process: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Measuring {
    /// Starts it and waits until it is ready.
    pub(crate) fn start(bench: &Bench, what: &str, side: &str, lane: Lane, actors: usize) -> Self {
        let mut process = Command::new(std::env::current_exe().expect("the own binary"))
            .arg("--guests")
            .arg(&bench.guests)
            .args(["--child", what, side, crate::lane_name(lane), &actors.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the own binary starts");
        let questions = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().expect("its output"));
        let mut child = Self { process, questions, answers };
        assert_eq!(child.line(), "ready");
        child
    }

    /// Has it measure once.
    pub(crate) fn measure(&mut self) -> f64 {
        writeln!(self.questions.as_ref().expect("it runs"), "measure").expect("it listens");
        self.line().parse().expect("a figure")
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("it answers");
        line.trim().to_owned()
    }
}

impl Drop for Measuring {
    fn drop(&mut self) {
        drop(self.questions.take());
        let _it_has_said_what_it_had_to = self.process.wait();
    }
}

/// What a child does.
pub(crate) async fn run(bench: &Bench, child: &[String]) {
    let [what, side, lane, actors] = child else { panic!("--child wants what, side, lane, actors") };
    let lane = if lane == "sync" { Lane::Sync } else { Lane::Async };
    let actors = actors.parse().expect("a number of actors");
    match (what.as_str(), side.as_str()) {
        ("memory", "ours") => memory::ours(bench, lane, actors).await,
        ("memory", "floor") => memory::floor(bench, lane, actors).await,
        ("many", "ours") => many::ours(bench, lane, actors).await,
        ("many", "floor") => many::floor(bench, lane, actors).await,
        ("many", "sum") => many::sum(bench, lane, actors).await,
        other => panic!("nothing is called {other:?}"),
    }
}

/// Says that it is ready, and then a figure for each line of its input.
pub(crate) async fn serve<F: Future<Output = f64> + Send + 'static>(mut measure: impl FnMut() -> F) {
    say("ready");
    let mut questions = std::io::stdin().lines();
    while let Some(Ok(_)) = questions.next() {
        say(&crate::measure::on_a_worker(measure()).await.to_string());
    }
    // What it holds may take long to take down, and nobody wants to know.
    std::process::exit(0);
}

fn say(line: &str) {
    println!("{line}");
    std::io::stdout().flush().expect("the parent listens");
}
