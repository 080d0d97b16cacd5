//! What a supervisor heard and did, as the world of the [model](crate::supervisor::model): the model acts on what was
//! heard, and each of its deeds has to be the next one that was done.
//!
//! Under a strategy with groups, while a supervisor starts and while it ends, the model blocks, as OTP's does, and
//! what was heard meanwhile is in its queue afterwards. Otherwise children do not wait for each other: a start that
//! the model wants is looked for further on, and what comes of it is heard like anything else.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::child::{Shutdown, StopReason};
use crate::supervisor::decide::{KILL_GRACE, KillReason};
use crate::supervisor::deed::{Deed, Entry, Hearing, What};
use crate::supervisor::model::{self, Came, Command, Flags, Heard, Plan, Supervisor, World};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Starts,
    Runs,
    Stops,
}

/// A child that lives.
struct Life {
    plan: Plan,
    doing: Doing,
    /// Since when it does that.
    since: Duration,
    began: Duration,
    killed: Option<Duration>,
    nth: usize,
    automatic: bool,
    /// Whether it was stopped by somebody's wish, and OTP would have waited for its end before it went on.
    is_unwaited: bool,
}

/// What became of the child of an entry.
enum Passed {
    Nothing,
    Up(String),
    Ended(String, Box<Life>),
}

enum Cut {
    /// More was not written down.
    End,
    /// It was told to stop, with this word for its children.
    Stop(&'static str),
    /// Nobody judges from here on.
    Beyond,
}

struct Replay<'a> {
    path: &'a str,
    /// How late a timer may be.
    late: Duration,
    entries: &'a [Entry],
    next: usize,
    /// Those that were found further on.
    taken: Vec<bool>,
    step: u64,
    now: Duration,
    last: String,
    /// Whether the model waits for what comes of what it does.
    blocks: bool,
    ends: bool,
    lives: BTreeMap<String, Life>,
    /// Those whose start was found further on.
    coming: HashMap<String, (Plan, usize, bool)>,
    due: HashMap<String, Duration>,
    heard: Vec<Heard>,
    cut: Option<Cut>,
    wrong: Option<String>,
}

/// Judges what one incarnation of a supervisor did: all of it, but for where nobody can follow.
pub(crate) fn judge(path: &str, late: Duration, flags: Flags, entries: &[Entry]) -> Result<(), String> {
    let groups = flags.strategy.is_group();
    let mut next = judge_part(path, late, Supervisor::new(path.to_owned(), flags), (None, groups), entries)?;
    // From where it stands next.
    while let Some((at, snapshot)) = entries.iter().enumerate().skip(next).find_map(|(at, entry)| match &entry.what {
        What::Stands(snapshot) => Some((at, snapshot)),
        _ => None,
    }) {
        let model = Supervisor::of_snapshot(path.to_owned(), model::Snapshot::clone(snapshot));
        let groups = snapshot.flags.strategy.is_group();
        let rest = entries.get(at + 1..).unwrap_or_default();
        next = at + 1 + judge_part(path, late, model, (Some(snapshot), groups), rest)?;
    }
    Ok(())
}

/// Judges from the beginning, or from where a supervisor stands, up to where nobody can follow; how many entries that
/// are.
fn judge_part(
    path: &str,
    late: Duration,
    mut model: Supervisor,
    (snapshot, groups): (Option<&model::Snapshot>, bool),
    entries: &[Entry],
) -> Result<usize, String> {
    let Some(first) = entries.first() else { return Ok(0) };
    let mut world = Replay {
        path,
        late,
        entries,
        next: 0,
        taken: vec![false; entries.len()],
        step: first.step,
        now: first.at,
        last: "its start".to_owned(),
        blocks: true,
        ends: false,
        lives: snapshot.map(lives).unwrap_or_default(),
        coming: HashMap::new(),
        due: HashMap::new(),
        heard: Vec::new(),
        cut: None,
        wrong: None,
    };
    let mut over = snapshot.is_none() && model.init(&mut world).is_err();
    world.blocks = groups;
    if !over && !world.is_cut() {
        over = model.run(&mut world).is_some();
    }
    loop {
        if let Some(Cut::Stop(word)) = world.cut {
            world.cut = None;
            model.shut_down(word, &mut world);
            break;
        }
        if over || world.is_cut() {
            break;
        }
        match world.pass() {
            Passed::Up(child) => model.is_up(&child, world.now),
            Passed::Ended(child, life) if life.doing == Doing::Starts => match life.automatic {
                true => model.hear(Heard::TryAgain(child)),
                // One that somebody wanted is forgotten, unless it had been there before.
                false => model.did_not_start(&child, life.nth == 1),
            },
            Passed::Ended(..) | Passed::Nothing => {}
        }
        model.listen(&mut world);
        over = model.run(&mut world).is_some();
    }
    let next = if matches!(world.cut, Some(Cut::Beyond)) { world.next } else { entries.len() };
    world.wrong.map_or(Ok(next), Err)
}

/// Those that live where a supervisor stands.
fn lives(snapshot: &model::Snapshot) -> BTreeMap<String, Life> {
    let live = snapshot.flags.children.iter().zip(&snapshot.children).filter(|(_, child)| child.is_up);
    let life = |(plan, child): (&Plan, &model::ChildSnapshot)| {
        let (since, nth) = (child.since, child.starts);
        let life = Life {
            plan: plan.clone(),
            doing: Doing::Runs,
            since,
            began: since,
            killed: None,
            nth,
            automatic: true,
            is_unwaited: false,
        };
        (plan.name.clone(), life)
    };
    live.map(life).collect()
}

impl<'a> Replay<'a> {
    fn is_wrong(&mut self, wanted: &str, done: &str) {
        if self.wrong.is_none() {
            let Self { path, now, last, .. } = self;
            self.wrong = Some(format!(
                "supervisor {path}, after {last} ({now:?}): OTP's would {wanted}, and this one did {done}"
            ));
        }
    }

    /// Goes on by one entry that nobody wants: it was heard, or it is the doing of a timer.
    fn pass(&mut self) -> Passed {
        let entries = self.entries;
        let Some(Entry { at, step, what }) = entries.get(self.next) else {
            self.cut = Some(Cut::End);
            return Passed::Nothing;
        };
        let is_taken = self.taken[self.next];
        self.next += 1;
        (self.now, self.step) = (*at, *step);
        match what {
            What::Heard(heard) => return self.hear(heard),
            What::Did(Deed::Start(child)) if is_taken => self.begin(child),
            What::Did(_) if is_taken => {}
            What::Stands(_) => {}
            What::Did(Deed::Leave(_)) => {}
            What::Did(Deed::Kill(child, why)) => self.kill(child, *why),
            What::Did(Deed::Abandon(child)) => {
                let life = self.lives.remove(child);
                return match life.filter(|life| life.killed.is_some_and(|at| self.now >= at + KILL_GRACE)) {
                    Some(life) => Passed::Ended(child.clone(), Box::new(life)),
                    None => {
                        self.is_wrong("wait for it", &format!("abandon {child}"));
                        Passed::Nothing
                    }
                };
            }
            What::Did(deed) => self.is_wrong("do nothing", &deed.told()),
        }
        Passed::Nothing
    }

    fn hear(&mut self, heard: &Hearing) -> Passed {
        self.last = heard.told();
        match heard {
            Hearing::Started(child) => {
                let now = self.now;
                if let Some(life) = self.lives.get_mut(child).filter(|life| life.doing == Doing::Starts) {
                    (life.doing, life.since) = (Doing::Runs, now);
                    return Passed::Up(child.clone());
                }
            }
            Hearing::Ended { child, normal, .. } => {
                if let Some(life) = self.lives.remove(child) {
                    if life.doing == Doing::Runs {
                        self.heard.push(Heard::Exit(child.clone(), life.nth, *normal));
                    }
                    return Passed::Ended(child.clone(), Box::new(life));
                }
            }
            // One that is on its way out is there for whoever asks, and OTP would have waited for its end.
            Hearing::Command(command) => {
                let stops = self.lives.get(command.child()).is_some_and(|life| life.doing == Doing::Stops);
                if self.blocks || !stops {
                    self.heard.push(Heard::Command(0, command.clone()));
                }
            }
            Hearing::Shutdown(why) if !self.ends => {
                self.cut = Some(Cut::Stop(if *why == StopReason::Restart { "stop to restart" } else { "stop" }));
            }
            Hearing::Beyond => self.cut = Some(Cut::Beyond),
            Hearing::Hurry(_) | Hearing::Shutdown(_) => {}
        }
        Passed::Nothing
    }

    /// A child begins to start.
    fn begin(&mut self, child: &str) {
        if let Some((plan, nth, automatic)) = self.coming.remove(child) {
            let (now, doing) = (self.now, Doing::Starts);
            let life = Life { plan, doing, since: now, began: now, killed: None, nth, automatic, is_unwaited: false };
            if self.lives.insert(child.to_owned(), life).is_some() {
                self.is_wrong("wait for its end", &format!("start {child} while it runs"));
            }
        }
    }

    /// A timer has a child killed.
    fn kill(&mut self, child: &str, why: KillReason) {
        let now = self.now;
        let is_due = self.lives.get_mut(child).is_some_and(|life| {
            let Life { plan, doing, since, began, .. } = &*life;
            let to_start = plan.start_timeout.map(|timeout| *began + timeout);
            let due = match (life.killed, doing, plan.shutdown) {
                (Some(killed), ..) => Some(killed + KILL_GRACE),
                (None, Doing::Starts, _) => to_start,
                (None, Doing::Stops, Shutdown::Timeout(timeout)) => Some(*since + timeout),
                (None, Doing::Stops, _) => to_start,
                (None, Doing::Runs, _) => None,
            };
            life.killed = Some(now);
            let reason = if life.doing == Doing::Starts { KillReason::StartTimedOut } else { KillReason::StopTimedOut };
            due.is_some_and(|due| now >= due) && why == reason
        });
        if !is_due {
            self.is_wrong("do nothing", &format!("kill {child} ({why:?})"));
        }
    }

    /// What is done next in this decision and was not wanted yet, and where that stands.
    fn done_next(&self) -> (usize, Option<&'a Deed>) {
        let mut at = self.next;
        loop {
            match self.entries.get(at).filter(|entry| entry.step == self.step).map(|entry| &entry.what) {
                Some(What::Did(Deed::Leave(_))) => at += 1,
                Some(What::Did(_)) if self.taken[at] => at += 1,
                Some(What::Did(deed)) => return (at, Some(deed)),
                Some(What::Heard(_) | What::Stands(_)) | None => return (at, None),
            }
        }
    }

    /// At its end a supervisor waits for those as well who were stopped before by somebody's wish.
    fn wait_for_others(&mut self) {
        while self.ends
            && !self.is_cut()
            && self.lives.values().any(|life| life.is_unwaited)
            && self.done_next().1.is_none()
        {
            let _it_may_be_one_of_these = self.pass();
        }
    }

    /// This is done next, in the same decision.
    fn want(&mut self, wanted: &Deed) -> bool {
        if self.is_cut() {
            return false;
        }
        self.wait_for_others();
        if self.is_cut() {
            return false;
        }
        let (at, done) = self.done_next();
        if done != Some(wanted) {
            self.is_wrong(&wanted.told(), &done.map_or_else(|| "nothing".to_owned(), Deed::told));
            return false;
        }
        self.taken[at] = true;
        if self.blocks {
            self.next = at + 1;
        }
        true
    }

    /// A start after a back-off, under a strategy without groups.
    fn find_start(&mut self, child: &str, due: Duration) {
        let entries = self.entries;
        let mut hurried = false;
        for (at, entry) in entries.iter().enumerate().skip(self.next) {
            let is_late = entry.at > due + self.late && !hurried;
            match &entry.what {
                What::Did(Deed::Start(other)) if other == child => {
                    self.taken[at] = true;
                    if is_late || (entry.at < due && !hurried) {
                        self.is_wrong(&format!("start {child} at {due:?}"), &format!("so at {:?}", entry.at));
                    }
                    return;
                }
                What::Heard(Hearing::Hurry(other)) if other == child => hurried = true,
                What::Heard(Hearing::Command(Command::Terminate(other))) if other == child => return,
                What::Heard(Hearing::Beyond) | What::Did(Deed::Say(_)) => return,
                What::Heard(Hearing::Shutdown(_)) if !is_late => return,
                What::Heard(Hearing::Shutdown(_)) | What::Did(Deed::Start(_)) if is_late => {
                    return self.is_wrong(&format!("start {child} at {due:?}"), "not");
                }
                _ => {}
            }
        }
    }

    /// Until this child has ended.
    fn wait_for_end(&mut self, child: &str) {
        while self.lives.contains_key(child) && !self.is_cut() {
            let _it_may_be_another_one = self.pass();
        }
    }

    /// Asks a child to stop, or kills it, as its plan says.
    fn ask_to_stop(&mut self, word: &'static str, plan: &Plan) {
        self.wait_for_others();
        let Some(life) = self.lives.get(&plan.name) else { return };
        if life.doing == Doing::Stops {
            return;
        }
        let kills = plan.shutdown == Shutdown::BrutalKill || (life.doing == Doing::Starts && life.killed.is_some());
        let deed = match kills {
            true => Deed::Kill(plan.name.clone(), KillReason::Brutal),
            false => Deed::Stop(word, plan.name.clone()),
        };
        if self.want(&deed)
            && let Some(life) = self.lives.get_mut(&plan.name)
        {
            (life.doing, life.since) = (Doing::Stops, self.now);
            life.killed = kills.then_some(self.now);
        }
    }
}

impl World for Replay<'_> {
    fn now(&self) -> Duration {
        self.now
    }

    fn wait(&mut self, child: &str, delay: Duration, alone: bool) {
        if delay.is_zero() || self.is_cut() {
            return;
        }
        let due = self.now + delay;
        if !self.blocks {
            self.due.insert(child.to_owned(), due);
            return;
        }
        if !alone {
            self.cut = Some(Cut::Beyond);
            return;
        }
        let mut hurried = false;
        loop {
            let Some(Entry { at, step, what }) = self.entries.get(self.next) else {
                self.cut = Some(Cut::End);
                return;
            };
            let is_late = *at > due + self.late && !hurried;
            match what {
                What::Did(Deed::Leave(_)) | What::Heard(Hearing::Started(_)) if *at < due => self.next += 1,
                What::Stands(_) => self.next += 1,
                What::Did(deed) if is_late || (*at < due && !hurried) => {
                    let done = format!("{} at {at:?}", deed.told());
                    return self.is_wrong(&format!("wait until {due:?}"), &done);
                }
                What::Did(_) => {
                    (self.now, self.step) = (*at, *step);
                    return;
                }
                What::Heard(Hearing::Hurry(_)) => {
                    hurried = true;
                    let _it_is_no_child = self.pass();
                }
                What::Heard(Hearing::Shutdown(_)) if !is_late => {
                    let _it_is_no_child = self.pass();
                    return;
                }
                What::Heard(Hearing::Shutdown(_)) => {
                    return self.is_wrong(&format!("start {child} at {due:?}"), "not");
                }
                // Others are free to end meanwhile here; OTP has no back-off.
                What::Heard(_) => {
                    self.cut = Some(Cut::Beyond);
                    return;
                }
            }
        }
    }

    fn start(&mut self, plan: &Plan, nth: usize, automatic: bool) -> Came {
        if self.is_cut() {
            return Came::Up;
        }
        let (name, due) = (&plan.name, self.due.remove(&plan.name));
        if !self.blocks && !automatic && self.lives.contains_key(name) {
            // It is on its way out, and whoever asks is told that it is there.
            return Came::Failed;
        }
        if self.blocks {
            let next = self.entries.iter().skip(self.next).take_while(|entry| entry.step == self.step);
            let mut left = next.map_while(|entry| match &entry.what {
                What::Did(Deed::Leave(left)) => Some(left),
                _ => None,
            });
            // Behind whoever was stopped in the same decision.
            if let Some(at) = left.position(|left| left == name) {
                self.next += at + 1;
                return Came::Left;
            }
        }
        self.coming.insert(name.clone(), (plan.clone(), nth, automatic));
        match due {
            Some(due) => self.find_start(name, due),
            None if self.want(&Deed::Start(name.clone())) => self.begin(name),
            None => {}
        }
        if !self.blocks {
            return Came::Up;
        }
        while !self.is_cut() {
            match self.pass() {
                Passed::Up(child) if child == *name => return Came::Up,
                Passed::Ended(child, _) if child == *name => return Came::Failed,
                _ => {}
            }
        }
        Came::Up
    }

    fn stop(&mut self, word: &'static str, plan: &Plan) {
        self.ask_to_stop(word, plan);
        if self.blocks {
            self.wait_for_end(&plan.name);
        } else if let Some(life) = self.lives.get_mut(&plan.name) {
            life.is_unwaited = true;
        }
    }

    fn stop_at_once(&mut self, word: &'static str, children: &[&Plan]) {
        children.iter().for_each(|plan| self.ask_to_stop(word, plan));
        children.iter().for_each(|plan| self.wait_for_end(&plan.name));
    }

    fn note(&mut self, word: &'static str, name: &str) {
        if word == "set aside" {
            let _it_is_said = self.want(&Deed::SetAside(name.to_owned()));
            return;
        }
        while self.ends && self.lives.values().any(|life| life.is_unwaited) && !self.is_cut() {
            let _it_may_be_one_of_these = self.pass();
        }
        if let (true, Some(child), false) = (self.ends, self.lives.keys().next(), self.is_cut()) {
            let wanted = format!("wait for the end of {child}");
            self.is_wrong(&wanted, "not");
        }
        let _it_is_said = self.want(&Deed::Say(word));
    }

    fn answer(&mut self, _: u64, _: &'static str) {}

    fn heard(&mut self) -> Vec<Heard> {
        std::mem::take(&mut self.heard)
    }

    fn ends(&mut self) {
        (self.blocks, self.ends) = (true, true);
        // Those that somebody wanted, and that were killed since they did not start in time, are killed once more:
        // nobody waits for them any longer.
        while let Some(Entry { step, what: What::Did(Deed::Kill(child, KillReason::StartTimedOut)), .. }) =
            self.entries.get(self.next)
            && *step == self.step
            && let Some(life) = self.lives.get_mut(child)
            && life.doing == Doing::Starts
            && life.killed.is_some()
            && !life.automatic
        {
            self.next += 1;
            (life.doing, life.since, life.killed) = (Doing::Stops, self.now, Some(self.now));
        }
    }

    fn lives(&self, child: &str, _: bool) -> bool {
        !self.is_cut() && self.lives.contains_key(child)
    }

    fn is_cut(&self) -> bool {
        self.cut.is_some() || self.wrong.is_some()
    }
}
