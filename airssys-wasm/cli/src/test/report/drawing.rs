//! The steps of a run as a picture: time goes down, and each actor has a lane.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use super::step::{Step, What};
use crate::test::markup::escaped;

/// The height of a step, and the width of a lane, of the times on the left and of the texts on the right.
const ROW: usize = 24;
const LANE: usize = 132;
const TIMES: usize = 84;
const TEXTS: usize = 720;
/// The height of the names of the lanes.
pub(super) const HEAD: usize = 34;
/// The most lanes; who has none is in the last one.
const MOST_LANES: usize = 60;
/// The most letters of a text beside a step, and of the name of a lane.
const LETTERS: usize = 96;
const NAME: usize = 17;

/// The lanes, and the picture.
pub(super) struct Drawing {
    pub(super) width: usize,
    pub(super) names: String,
    pub(super) picture: String,
}

struct Lanes<'a> {
    names: Vec<&'a str>,
    places: HashMap<&'a str, usize>,
}

impl<'a> Lanes<'a> {
    fn of(steps: &[Step<'a>]) -> Self {
        let mut lanes = Self { names: vec!["clients"], places: HashMap::new() };
        for step in steps {
            match step.what {
                What::Turn { actor, .. } | What::Up { actor, .. } | What::Ended { actor, .. } => lanes.add(actor),
                What::Lost { to, .. } => lanes.add(to),
                _ => {}
            }
        }
        lanes
    }

    fn add(&mut self, actor: &'a str) {
        if self.places.contains_key(actor) {
            return;
        }
        if self.names.len() < MOST_LANES {
            self.names.push(actor);
        } else if self.names.len() == MOST_LANES {
            self.names.push("others");
        }
        self.places.insert(actor, self.names.len() - 1);
    }

    /// The middle of the lane of an actor; of that of the clients where it has none.
    fn x(&self, actor: &str) -> usize {
        self.at(self.places.get(actor).copied().unwrap_or_default())
    }

    fn at(&self, lane: usize) -> usize {
        TIMES + lane * LANE + LANE / 2
    }

    /// Where the texts begin.
    fn end(&self) -> usize {
        TIMES + self.names.len() * LANE
    }
}

/// A turn that is not over.
struct Open {
    from: usize,
    fault: bool,
}

/// Draws them.
pub(super) fn draw(steps: &[Step<'_>]) -> Drawing {
    let lanes = Lanes::of(steps);
    let (width, height) = (lanes.end() + TEXTS, (steps.len() + 1) * ROW);
    let mut picture = String::new();
    for lane in 0..lanes.names.len() {
        let x = lanes.at(lane);
        push(&mut picture, format_args!("<line class=\"lane\" x1=\"{x}\" y1=\"0\" x2=\"{x}\" y2=\"{height}\"/>"));
    }
    let (bars, marks) = marks(steps, &lanes);
    picture.push_str(&bars);
    picture.push_str(&marks);
    let mut names = String::new();
    for (lane, name) in lanes.names.iter().enumerate() {
        let (x, short) = (lanes.at(lane), escaped(&short(name, NAME)));
        let whole = escaped(name);
        push(&mut names, format_args!("<text class=\"name\" x=\"{x}\" y=\"22\"><title>{whole}</title>{short}</text>"));
    }
    Drawing {
        width,
        names,
        picture: format!(
            "<svg width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"the steps of the run\">{picture}</svg>"
        ),
    }
}

/// The bars of turns, and what lies on them.
fn marks<'a>(steps: &[Step<'a>], lanes: &Lanes<'a>) -> (String, String) {
    let (mut bars, mut marks) = (String::new(), String::new());
    let mut open: BTreeMap<(&str, &str), Open> = BTreeMap::new();
    // Where each actor was active last, for the messages that leave with a turn.
    let mut active: HashMap<&str, usize> = HashMap::new();
    let mut last = "";
    for (row, step) in steps.iter().enumerate() {
        let y = row * ROW + ROW / 2;
        if step.at != last {
            last = step.at;
            push(
                &mut marks,
                format_args!("<text class=\"time\" x=\"{}\" y=\"{}\">{}</text>", TIMES - 10, y + 4, escaped(last)),
            );
        }
        let x = match step.what {
            What::Turn { actor, id, sender, delivery, fault, .. } => {
                let x = lanes.x(actor);
                let from = if sender == "-" { "clients" } else { sender };
                let is_own = delivery == "timer" || from == actor;
                let begun = if sender == "-" { y } else { active.get(sender).copied().unwrap_or(y) };
                if is_own {
                    push(&mut marks, format_args!("<circle class=\"timer\" cx=\"{x}\" cy=\"{y}\" r=\"9\"/>"));
                } else {
                    arrow(&mut marks, "message", (lanes.x(from), begun), (x, y));
                }
                open.insert((actor, id), Open { from: y, fault: fault.is_some() });
                active.insert(actor, y);
                x
            }
            What::Over { actor, id, outcome } => {
                let x = lanes.x(actor);
                if let Some(begun) = open.remove(&(actor, id)) {
                    let class = if outcome.starts_with("done") {
                        "done"
                    } else if outcome.starts_with("crash") {
                        "crash"
                    } else {
                        "error"
                    };
                    bar(&mut bars, class, step.line, (x, begun.from, y));
                    if begun.fault || class == "crash" {
                        cross(&mut marks, (x, y));
                    }
                }
                active.insert(actor, y);
                x
            }
            What::Client { service, .. } => {
                arrow(&mut marks, "answer", (lanes.x(service), y), (lanes.at(0), y));
                lanes.at(0)
            }
            What::Up { actor, again, .. } => {
                let (x, class) = (lanes.x(actor), if again { "again" } else { "up" });
                push(&mut marks, format_args!("<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"7\"/>"));
                x
            }
            What::Ended { actor, well: true, .. } => {
                let x = lanes.x(actor);
                push(&mut marks, format_args!("<circle class=\"down\" cx=\"{x}\" cy=\"{y}\" r=\"7\"/>"));
                x
            }
            What::Ended { actor, .. } => {
                cross(&mut marks, (lanes.x(actor), y));
                lanes.x(actor)
            }
            What::Lost { to, .. } | What::Buried { to, .. } => {
                cross(&mut marks, (lanes.x(to), y));
                lanes.x(to)
            }
            What::Host { text } => {
                let end = lanes.end();
                push(
                    &mut marks,
                    format_args!("<line class=\"host\" x1=\"{TIMES}\" y1=\"{y}\" x2=\"{end}\" y2=\"{y}\"/>"),
                );
                if text.contains("killed") {
                    for ((actor, _), begun) in std::mem::take(&mut open) {
                        bar(&mut bars, "crash", "it was killed with its host", (lanes.x(actor), begun.from, y));
                    }
                }
                end
            }
            What::Check { .. } | What::Broken { .. } | What::Other { .. } => lanes.end(),
        };
        let end = lanes.end();
        push(
            &mut marks,
            format_args!("<line class=\"lead\" x1=\"{}\" y1=\"{y}\" x2=\"{end}\" y2=\"{y}\"/>", (x + 10).min(end)),
        );
        let class = class(&step.what);
        let (said, whole) = (escaped(&short(&told(step), LETTERS)), escaped(step.line));
        push(
            &mut marks,
            format_args!(
                "<text class=\"said {class}\" x=\"{}\" y=\"{}\"><title>{whole}</title>{said}</text>",
                end + 12,
                y + 4
            ),
        );
    }
    let end = steps.len() * ROW;
    for ((actor, _), begun) in open {
        bar(&mut bars, "error", "it is not over", (lanes.x(actor), begun.from, end));
    }
    (bars, marks)
}

/// What a step is, in words.
fn told(step: &Step<'_>) -> String {
    match step.what {
        What::Turn { actor, id, delivery, sender, attempt, fault } => {
            let from = if sender == "-" { "outside" } else { sender };
            let again = if matches!(attempt, "0" | "1") { String::new() } else { format!(", try {attempt}") };
            let wrong = fault.map(|fault| format!(" — {fault}")).unwrap_or_default();
            format!("{actor} takes message {id}, a {delivery} from {from}{again}{wrong}")
        }
        What::Over { actor, id, outcome } => {
            match outcome.strip_prefix("crash ").and_then(|crash| crash.split_once(": ")) {
                Some((_, why)) => format!("{actor} crashes over message {id}: {why}"),
                None => format!("{actor} is done with message {id}: {outcome}"),
            }
        }
        What::Client { service, told, .. } => format!("outside is told by {service}: {}", told.replace("\\\"", "\"")),
        What::Check { text } => format!("check: {text}"),
        What::Lost { to, fault } => format!("a message to {to} does not come in: {fault}"),
        What::Up { text, .. } | What::Ended { text, .. } | What::Buried { text, .. } => text.to_owned(),
        What::Broken { text } => format!("does not hold: {text}"),
        What::Host { text } | What::Other { text } => text.to_owned(),
    }
}

fn class(what: &What<'_>) -> &'static str {
    match what {
        What::Turn { fault: Some(_), .. }
        | What::Lost { .. }
        | What::Ended { well: false, .. }
        | What::Buried { .. } => "wrong",
        What::Over { outcome, .. } if outcome.starts_with("crash") => "wrong",
        What::Broken { .. } => "broken",
        What::Up { again: true, .. } => "again",
        What::Host { .. } | What::Check { .. } => "host",
        _ => "usual",
    }
}

fn arrow(into: &mut String, class: &str, (x1, y1): (usize, usize), (x2, y2): (usize, usize)) {
    let tip = if x2 > x1 { x2.saturating_sub(7) } else { x2 + 7 };
    push(
        into,
        format_args!(
            "<line class=\"{class}\" x1=\"{x1}\" y1=\"{y1}\" x2=\"{tip}\" y2=\"{y2}\" marker-end=\"url(#{class})\"/>"
        ),
    );
}

fn bar(into: &mut String, class: &str, line: &str, (x, from, to): (usize, usize, usize)) {
    let (left, height, line) = (x - 6, to.saturating_sub(from).max(8), escaped(line));
    push(
        into,
        format_args!(
            "<rect class=\"{class}\" x=\"{left}\" y=\"{from}\" width=\"12\" height=\"{height}\" rx=\"3\"><title>{line}</title></rect>"
        ),
    );
}

fn cross(into: &mut String, (x, y): (usize, usize)) {
    let (left, right, up, down) = (x - 7, x + 7, y - 7, y + 7);
    push(into, format_args!("<path class=\"cross\" d=\"M{left} {up}L{right} {down}M{left} {down}L{right} {up}\"/>"));
}

fn push(into: &mut String, text: std::fmt::Arguments<'_>) {
    let _text_has_room = into.write_fmt(text);
    into.push('\n');
}

/// So many letters of a text, with a sign where there are more.
fn short(text: &str, letters: usize) -> String {
    if text.chars().count() <= letters {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(letters - 1).collect();
    short.push('…');
    short
}
