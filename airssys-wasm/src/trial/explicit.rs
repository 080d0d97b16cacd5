//! A run as an explicit plan: each message and each act with its moment, each fault at the one turn or message that it
//! hits, each pause. And a plan as a test file.

use std::time::Duration;

use humantime::format_duration;
use toml::{Table, Value};

use super::act::Act;
use super::file::{PATIENCE, Plan, Said, Workload};
use super::operator::moments;
use super::run::{self, Planned};
use crate::seeded::{Choices, Pause, Seeded, Wait};

/// How many messages are looked at for one that says the same.
const LOOKED_AT: usize = 64;
/// The keys of a test file that a plan has in it. The others are written as they were read.
const OWN: [&str; 8] = ["seed", "seeds", "jitter", "kill", "workload", "fault", "pause", "act"];

impl Plan {
    /// The plan of one run, of which chance decided this.
    pub(super) fn explicit(&self, seed: u64, choices: Choices) -> Self {
        let seeded = Seeded::new(seed);
        // They draw first.
        let acts = moments(&self.acts, &seeded).into_iter().map(|(at, act)| act.at(at)).collect();
        let drawn = run::drawn(self, &seeded);
        let workloads = drawn.into_iter().map(|Planned { at, patience, message }| Workload {
            message,
            at: Some(at),
            times: 1,
            every: Duration::ZERO,
            patience,
        });
        Self {
            seed: Some(seed),
            seeds: None,
            workloads: workloads.collect(),
            faults: choices.faults.into_iter().map(|(_, fault)| fault).collect(),
            acts,
            jitter: false,
            pauses: choices.pauses.into_iter().map(|(_, pause)| pause).collect(),
            ..self.clone()
        }
    }

    /// The plan as a test file. What it says beside the run, such as its checks, is as it was read.
    pub(super) fn written(&self) -> String {
        let read: Table = self.text.parse().unwrap_or_default();
        let acts = self.acts_of(&read);
        let mut head = Table::new();
        let mut rest = Vec::new();
        for (key, value) in read.into_iter().filter(|(key, _)| !OWN.contains(&key.as_str())) {
            match value {
                Value::Array(items) if items.iter().any(Value::is_table) => rest.push((key, Value::Array(items))),
                Value::Table(_) => rest.push((key, value)),
                plain => drop(head.insert(key, plain)),
            }
        }
        head.extend(self.seed.and_then(|seed| i64::try_from(seed).ok()).map(|seed| ("seed".to_owned(), seed.into())));
        if !self.jitter {
            head.insert("jitter".to_owned(), false.into());
        }
        if !self.kills.is_empty() {
            let kills = self.kills.iter().map(|at| Value::from(time(*at)));
            head.insert("kill".to_owned(), Value::Array(kills.collect()));
        }
        let faults = self.faults.iter().filter_map(|fault| Value::try_from(fault).ok());
        let parts = [
            ("workload".to_owned(), Value::Array(self.together().iter().map(workload).collect())),
            ("fault".to_owned(), Value::Array(faults.collect())),
            ("act".to_owned(), Value::Array(acts)),
            ("pause".to_owned(), Value::Array(self.pauses.iter().map(pause).collect())),
        ];
        let parts = parts.into_iter().chain(rest).filter(|(_, part)| part.as_array().is_none_or(|all| !all.is_empty()));
        let one = |(key, part)| toml::to_string(&Table::from_iter([(key, part)]));
        let parts = parts.map(|part| one(part).unwrap_or_default());
        let texts = std::iter::once(toml::to_string(&head).unwrap_or_default()).chain(parts);
        texts.map(|text| text.trim_end().to_owned() + "\n").collect::<Vec<_>>().join("\n")
    }

    /// The acts as they were read, each at its moment where it has one.
    fn acts_of(&self, read: &Table) -> Vec<Value> {
        let written = |act: &Act| {
            let mut table = read.get("act")?.as_array()?.get(act.number)?.as_table()?.clone();
            if act.at.is_empty() {
                table.insert("at".to_owned(), time(act.at.start).into());
            }
            Some(Value::Table(table))
        };
        self.acts.iter().filter_map(written).collect()
    }

    /// The workloads, of which those are one that say the same again and again.
    fn together(&self) -> Vec<Workload> {
        let mut together: Vec<Workload> = Vec::new();
        for workload in &self.workloads {
            // Those of others may have come between; to look at all of them would take too long where there are many.
            let last = together.iter_mut().rev().take(LOOKED_AT).find(|last| {
                last.message == workload.message && last.patience == workload.patience && workload.times == 1
            });
            if let (Some(last), Some(at)) = (last, workload.at)
                && let Some(first) = last.at
            {
                let every = if last.times == 1 { at.saturating_sub(first) } else { last.every };
                let times = u32::try_from(last.times).unwrap_or(u32::MAX);
                if at == first.saturating_add(every.saturating_mul(times)) {
                    (last.times, last.every) = (last.times + 1, every);
                    continue;
                }
            }
            together.push(workload.clone());
        }
        together
    }
}

/// A time as it is written in the file, which knows microseconds.
fn time(time: Duration) -> String {
    format_duration(time).to_string()
}

fn workload(Workload { message, at, times, every, patience }: &Workload) -> Value {
    let (word, value) = match &message.said {
        Said::Call(call) => ("call", call.clone().into()),
        Said::Ask(body) => ("ask", body.clone().into()),
        Said::Send(body) => ("send", body.clone().into()),
        Said::Http(request) => ("http", request.written(&message.service)),
    };
    let mut table = Table::from_iter([(word.to_owned(), value)]);
    if word != "http" {
        table.insert("service".to_owned(), message.service.clone().into());
    }
    table.extend(message.key.clone().map(|key| ("key".to_owned(), key.into())));
    table.extend(at.map(|at| ("at".to_owned(), time(at).into())));
    if *times > 1 {
        table.extend(i64::try_from(*times).ok().map(|times| ("times".to_owned(), times.into())));
    }
    if *times > 1 || at.is_none() {
        table.insert("every".to_owned(), time(*every).into());
    }
    if *patience != PATIENCE {
        table.insert("patience".to_owned(), time(*patience).into());
    }
    Value::Table(table)
}

fn pause(Pause { service, nth, wait }: &Pause) -> Value {
    let whole = |number: u64| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    let mut table = Table::from_iter([("service".to_owned(), service.clone().into()), ("nth".to_owned(), whole(*nth))]);
    match wait {
        Wait::Others(times) => table.insert("others".to_owned(), whole(*times)),
        Wait::For(length) => table.insert("for".to_owned(), time(*length).into()),
    };
    Value::Table(table)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

    use std::time::Duration;

    use super::super::file::Plan;
    use super::super::run;
    use crate::config_file::Source;
    use crate::seeded::{Choices, Fault, FaultKind, Moment, Pause, Seeded, Wait};

    const TEST: &str = r#"
        topology = "other.toml"
        seeds = 40
        settle = "3s"
        kill = ["1s"]

        [[workload]]
        service = "cart"
        key = "k{n}"
        ask = '{"add":"{n}"}'
        times = 3
        every = "1ms"

        [[workload]]
        service = "till"
        call = 'sell("tea")'
        at = "2ms"
        times = 2
        every = "5ms"
        patience = "1s"

        [[fault]]
        kind = "crash"
        rate = 0.5

        [[act]]
        kind = "stop"
        at = ["1s", "2s"]
        service = "cart"

        [[act]]
        kind = "start"
        at = ["3s", "4s"]
        service = "cart"

        [[check]]
        service = "till"
        call = 'sold()'
        equals = '2'
    "#;

    fn read(text: &str) -> Plan {
        Plan::of(&Source::of_text("shop.test.toml", text)).unwrap()
    }

    #[test]
    fn a_plan_that_is_written_is_read_as_the_same_again() {
        let crash = Fault {
            at: Some(Moment::During),
            service: Some("cart/k1".to_owned()),
            nth: Some(2),
            instruction: Some(700),
            ..Fault::new(FaultKind::Crash)
        };
        let late = Pause { service: "till".to_owned(), nth: 1, wait: Wait::Others(2) };
        let explicit = read(TEST).explicit(
            7,
            Choices {
                faults: vec![(Duration::ZERO, crash.clone())],
                pauses: vec![(Duration::ZERO, late.clone())],
                ..Choices::default()
            },
        );
        // The first is left out, and the other one stays when it was.
        let [_, start] = &explicit.acts[..] else { panic!("{:?}", explicit.acts) };
        let (at, explicit) = (start.at.clone(), Plan { acts: vec![start.clone()], ..explicit });
        assert!(at.is_empty() && (3_000..4_000).contains(&at.start.as_millis()), "{at:?}");
        let text = explicit.written();
        let again = read(&text);
        let said = |plan: &Plan| run::drawn(plan, &Seeded::new(1));
        assert_eq!(said(&again), said(&explicit), "{text}");
        assert_eq!(said(&again).len(), 5);
        assert_eq!((again.seed, again.jitter, &again.kills), (Some(7), false, &explicit.kills));
        assert_eq!((again.faults, again.pauses), (vec![crash], vec![late]));
        assert_eq!(again.checks.len(), 1);
        let done: Vec<_> = again.acts.iter().map(|act| (act.name.as_str(), act.at.clone())).collect();
        assert_eq!(done, [("start cart", at)], "{text}");
        assert_eq!((again.settle, again.topology), (explicit.settle, explicit.topology));
        assert!(text.contains("times = 2") && text.contains("every = \"5ms\""), "what is the same stays so: {text}");
    }
}
