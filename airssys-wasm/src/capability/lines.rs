//! Grants line by line, as an operator names them: by the key of `[service.grants]`, and what stands under it.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::str::FromStr;
use std::time::SystemTime;

use super::access::{RightMarks, parse_right, right_text};
use super::given::{Given, Mark, with_until};
use super::grant::{FileGrant, Grants};
use super::kind::{Kind, NoLine};
use super::process::ProcessGrant;
use super::spelling;

/// One line, as it is granted now.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// What is granted: of a folder it is the path that the guest sees, of a variable its name.
    pub(crate) what: String,
    /// Until when; none for good.
    pub(crate) until: Option<SystemTime>,
    /// What became of it.
    pub(crate) mark: Mark,
}

impl Line {
    /// As it is written.
    pub(crate) fn text(&self) -> String {
        with_until(&self.what, self.until)
    }
}

/// What stands under one key.
pub(crate) trait Lines {
    /// Those that are granted now.
    fn lines(&self) -> Vec<Line>;

    /// The same in the smallest parts that can be taken away: of a folder each right.
    fn parts(&self) -> Vec<Line> {
        self.lines()
    }

    /// The one that says the same as `text`.
    fn find(&self, text: &str) -> Result<Option<Mark>, NoLine>;

    /// Adds one, where it is not there; whether it was not.
    fn add(&mut self, text: &str) -> Result<bool, NoLine>;

    /// Takes those out that are granted no more, and this one.
    fn take_out(&mut self, text: &str);

    /// Shows the mark of each line, by its text.
    fn each_mark(&mut self, with: &mut dyn FnMut(&str, &mut Mark));
}

fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, NoLine> {
    text.parse().map_err(|why: T::Err| NoLine::Text(why.to_string()))
}

impl<T: FromStr<Err: Display> + Display + PartialEq> Lines for Vec<Given<T>> {
    fn lines(&self) -> Vec<Line> {
        let there = self.iter().filter(|given| !given.mark.is_revoked());
        there
            .map(|Given { what, until, mark }| Line { what: what.to_string(), until: *until, mark: mark.clone() })
            .collect()
    }

    fn find(&self, text: &str) -> Result<Option<Mark>, NoLine> {
        let wanted: Given<T> = parsed(text)?;
        let found = self.iter().find(|given| given.what == wanted.what && !given.mark.is_revoked());
        Ok(found.map(|given| given.mark.clone()))
    }

    fn add(&mut self, text: &str) -> Result<bool, NoLine> {
        let new: Given<T> = parsed(text)?;
        match self.iter_mut().find(|given| given.what == new.what && !given.mark.is_revoked()) {
            Some(given) if given.until == new.until => return Ok(false),
            // The one that is in use goes on to its own end until the new one takes its place.
            Some(given) => *given = new,
            None => self.push(new),
        }
        Ok(true)
    }

    fn take_out(&mut self, text: &str) {
        let gone = parsed::<Given<T>>(text).ok().map(|gone| gone.what);
        self.retain(|given| !given.mark.is_revoked() && Some(&given.what) != gone.as_ref());
    }

    fn each_mark(&mut self, with: &mut dyn FnMut(&str, &mut Mark)) {
        self.iter_mut().for_each(|given| with(&given.to_string(), &mut given.mark));
    }
}

impl Lines for BTreeMap<String, FileGrant> {
    fn lines(&self) -> Vec<Line> {
        let there = self.iter().filter(|(_, file)| !file.now().is_empty());
        there.map(|(guest, file)| Line { what: guest.clone(), until: file.until, mark: file.mark.clone() }).collect()
    }

    fn parts(&self) -> Vec<Line> {
        let of = |(guest, file): (&String, &FileGrant)| {
            let right = |right| {
                let mark = file.rights.of(right)?.clone();
                Some(Line { what: right_text(right, guest), until: None, mark })
            };
            file.now().each().filter_map(right).collect::<Vec<_>>()
        };
        self.iter().flat_map(of).collect()
    }

    fn find(&self, text: &str) -> Result<Option<Mark>, NoLine> {
        if let Some(file) = self.get(text) {
            return Ok(Some(file.mark.clone()).filter(|_| !file.now().is_empty()));
        }
        let Some((right, folder)) = parse_right(text) else { return Ok(None) };
        let file = self.get(folder).filter(|file| file.now().contains(right));
        Ok(file.and_then(|file| file.rights.of(right)).cloned())
    }

    /// One right more of a folder that is granted.
    fn add(&mut self, text: &str) -> Result<bool, NoLine> {
        let of = parse_right(text);
        let file = of.and_then(|(_, folder)| self.get_mut(folder)).filter(|file| !file.mark.is_revoked());
        let Some(((right, _), file)) = of.zip(file) else {
            let why = format!("a folder such as {text:?} is granted with its place in the host, in the topology");
            return Err(NoLine::Text(why));
        };
        if file.now().contains(right) {
            return Ok(false);
        }
        file.access = file.now() | right;
        file.rights.renew(right);
        Ok(true)
    }

    fn take_out(&mut self, text: &str) {
        if !self.contains_key(text)
            && let Some((right, folder)) = parse_right(text)
            && let Some(file) = self.get_mut(folder)
        {
            file.access = file.access - right;
        }
        self.retain(|guest, file| {
            file.access = file.now();
            guest != text && !file.access.is_empty()
        });
    }

    fn each_mark(&mut self, with: &mut dyn FnMut(&str, &mut Mark)) {
        self.iter_mut().for_each(|(guest, file)| with(&with_until(guest, file.until), &mut file.mark));
    }
}

impl Lines for BTreeMap<String, ProcessGrant> {
    fn lines(&self) -> Vec<Line> {
        let there = self.iter().filter(|(_, one)| !one.mark.is_revoked());
        there.map(|(name, one)| Line { what: name.clone(), until: one.until, mark: one.mark.clone() }).collect()
    }

    fn find(&self, text: &str) -> Result<Option<Mark>, NoLine> {
        Ok(self.get(text).map(|one| one.mark.clone()).filter(|mark| !mark.is_revoked()))
    }

    fn add(&mut self, text: &str) -> Result<bool, NoLine> {
        let why = format!("a program such as {text:?} is granted with its path in the host, in the topology");
        Err(NoLine::Text(why))
    }

    fn take_out(&mut self, text: &str) {
        self.retain(|name, one| name != text && !one.mark.is_revoked());
    }

    fn each_mark(&mut self, with: &mut dyn FnMut(&str, &mut Mark)) {
        self.iter_mut().for_each(|(name, one)| with(&with_until(name, one.until), &mut one.mark));
    }
}

/// A variable that an instance was made with is its own: what is taken away the next one does not have.
impl Lines for BTreeMap<String, Given<String>> {
    fn lines(&self) -> Vec<Line> {
        let there = self.iter().filter(|(_, given)| !given.mark.is_revoked());
        there.map(|(name, given)| Line { what: name.clone(), until: None, mark: given.mark.clone() }).collect()
    }

    fn find(&self, text: &str) -> Result<Option<Mark>, NoLine> {
        Ok(self.get(text).map(|given| given.mark.clone()).filter(|mark| !mark.is_revoked()))
    }

    fn add(&mut self, text: &str) -> Result<bool, NoLine> {
        let bad = |why: &str| NoLine::Text(format!("{text:?} {why}"));
        let (name, value) = text.split_once('=').ok_or_else(|| bad("is not NAME=VALUE"))?;
        if !spelling::is_variable(name) || value.contains('\0') {
            return Err(bad("cannot be a variable"));
        }
        if self.get(name).is_some_and(|given| given.what == value && !given.mark.is_revoked()) {
            return Ok(false);
        }
        self.insert(name.to_owned(), value.to_owned().into());
        Ok(true)
    }

    fn take_out(&mut self, text: &str) {
        self.retain(|name, given| name != text && !given.mark.is_revoked());
    }

    fn each_mark(&mut self, with: &mut dyn FnMut(&str, &mut Mark)) {
        self.iter_mut().for_each(|(name, given)| with(name, &mut given.mark));
    }
}

impl Grants {
    /// Lets the grants that stay be one with those before them: what is taken away of these is so here as well, and
    /// what was used of these was.
    pub(crate) fn follow(&mut self, before: &Self) {
        for kind in Kind::ALL {
            let before: HashMap<String, Mark> =
                before.under(kind).lines().into_iter().map(|line| (line.text(), line.mark)).collect();
            self.under_mut(kind).each_mark(&mut |text, mark| {
                if let Some(same) = before.get(text) {
                    mark.clone_from(same);
                }
            });
        }
        for (guest, file) in &mut self.files {
            if let Some(same) = before.files.get(guest).filter(|same| same.until == file.until) {
                file.rights.follow(&same.rights);
            }
        }
    }

    /// Lets these be nobody else's: what was taken away where they were used before, or will be, is not so here.
    pub(crate) fn be_apart(&mut self) {
        for kind in Kind::ALL {
            self.under_mut(kind).each_mark(&mut |_, mark| *mark = Mark::default());
        }
        self.files.values_mut().for_each(|file| file.rights = RightMarks::default());
    }

    /// Adds what these give besides; where both give a folder or a variable and not the same, which.
    pub(crate) fn join(&mut self, more: &Self) -> Result<(), String> {
        fn lists<T: Clone + PartialEq>(all: &mut Vec<Given<T>>, more: &[Given<T>]) {
            for new in more {
                match all.iter_mut().find(|given| given.what == new.what) {
                    // What is granted for good is, whoever grants it for a time.
                    Some(given) => given.until = given.until.zip(new.until).map(|(one, other)| one.max(other)),
                    // Another service may have it as well: what is taken away from that one stays here.
                    None => all.push(Given { mark: Mark::default(), ..new.clone() }),
                }
            }
        }
        lists(&mut self.send, &more.send);
        lists(&mut self.call, &more.call);
        lists(&mut self.publish, &more.publish);
        lists(&mut self.subscribe, &more.subscribe);
        lists(&mut self.spawn, &more.spawn);
        lists(&mut self.sockets, &more.sockets);
        lists(&mut self.bind, &more.bind);
        lists(&mut self.http, &more.http);
        for (name, given) in &more.environment {
            let there = self.environment.entry(name.clone()).or_insert_with(|| given.what.clone().into());
            if there.what != given.what {
                return Err(format!("the variable {name:?} with one value"));
            }
        }
        for (guest, file) in &more.files {
            let there = self.files.entry(guest.clone()).or_insert_with(|| file.anew());
            if there != file {
                return Err(format!("the folder {guest:?} in one way"));
            }
        }
        for (name, one) in &more.processes {
            let there = self
                .processes
                .entry(name.clone())
                .or_insert_with(|| ProcessGrant { mark: Mark::default(), ..one.clone() });
            if there != one {
                return Err(format!("the program {name:?} in one way"));
            }
        }
        Ok(())
    }

    /// What stands under a key.
    pub(crate) fn under(&self, kind: Kind) -> &dyn Lines {
        match kind {
            Kind::Send => &self.send,
            Kind::Call => &self.call,
            Kind::Publish => &self.publish,
            Kind::Subscribe => &self.subscribe,
            Kind::Spawn => &self.spawn,
            Kind::Files => &self.files,
            Kind::Environment => &self.environment,
            Kind::Sockets => &self.sockets,
            Kind::Bind => &self.bind,
            Kind::Http => &self.http,
            Kind::Processes => &self.processes,
        }
    }

    /// The same, to be changed.
    pub(crate) fn under_mut(&mut self, kind: Kind) -> &mut dyn Lines {
        match kind {
            Kind::Send => &mut self.send,
            Kind::Call => &mut self.call,
            Kind::Publish => &mut self.publish,
            Kind::Subscribe => &mut self.subscribe,
            Kind::Spawn => &mut self.spawn,
            Kind::Files => &mut self.files,
            Kind::Environment => &mut self.environment,
            Kind::Sockets => &mut self.sockets,
            Kind::Bind => &mut self.bind,
            Kind::Http => &mut self.http,
            Kind::Processes => &mut self.processes,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use super::{Grants, Kind, Lines, NoLine};

    fn under<'a>(grants: &'a mut Grants, key: &str) -> &'a mut dyn Lines {
        grants.under_mut(key.parse().unwrap())
    }

    fn texts(grants: &mut Grants, key: &str) -> Vec<String> {
        under(grants, key).lines().iter().map(super::Line::text).collect()
    }

    #[test]
    fn a_line_is_added_found_and_taken_out_by_what_it_says() {
        for (key, text, same) in [
            ("send", "a/*", "a/*"),
            ("call", "pricing#quote", "pricing#quote"),
            ("publish", "t", "t"),
            ("subscribe", "t/**", "t/**"),
            ("spawn", "w/*", "w/*"),
            ("sockets", "127.0.0.1:80", "[::ffff:127.0.0.1]:080"),
            ("bind", "127.0.0.1:80", "[::ffff:127.0.0.1]:080"),
            ("http", "GET https://a/x", "GET https://a/x"),
        ] {
            let mut grants = Grants::default();
            assert!(under(&mut grants, key).add(text).unwrap(), "{key}");
            assert!(!under(&mut grants, key).add(same).unwrap(), "{key}: it is there");
            assert_eq!(texts(&mut grants, key), [text], "{key}");
            let mut copy = grants.clone();
            under(&mut grants, key).find(same).unwrap().unwrap().revoke();
            assert_eq!(texts(&mut copy, key), [""; 0], "{key}: all copies are one");
            under(&mut grants, key).take_out(same);
            assert_eq!(grants, Grants::default(), "{key}");
        }
    }

    #[test]
    fn a_line_may_have_an_end_and_is_the_same_line_with_another_one() {
        let mut grants = Grants::default();
        let lines = under(&mut grants, "call");
        assert!(lines.add("b until 2027-01-01T00:00:00Z").unwrap());
        assert!(!lines.add("b until 2027-01-01T00:00:00Z").unwrap());
        let ends = |lines: &dyn Lines| lines.lines().iter().filter(|line| line.until.is_some()).count();
        assert_eq!(ends(lines), 1);
        assert!(lines.add("b").unwrap(), "for good");
        assert_eq!((lines.lines()[0].text(), ends(lines)), ("b".to_owned(), 0));
        for bad in ["b until tomorrow", "b until ", "a//b until 2027-01-01T00:00:00Z"] {
            assert!(matches!(lines.add(bad), Err(NoLine::Text(_))), "{bad}");
        }
        lines.add("b until 2027-01-01T00:00:00Z").unwrap();
        lines.take_out("b");
        assert_eq!(grants, Grants::default());
    }

    #[test]
    fn a_variable_needs_a_value_and_a_folder_a_place() {
        let mut grants = Grants::default();
        assert!(under(&mut grants, "environment").add("TZ=UTC").unwrap());
        assert!(under(&mut grants, "environment").add("TZ=CET").unwrap());
        assert_eq!(grants.environment.get("TZ").map(|given| given.what.as_str()), Some("CET"));
        for (key, bad) in
            [("environment", "TZ"), ("environment", "=x"), ("files", "/data"), ("processes", "sh"), ("send", "a//b")]
        {
            let told = under(&mut grants, key).add(bad).unwrap_err();
            assert!(matches!(told, NoLine::Text(_)) && told.to_string().contains(bad), "{told}");
        }
        assert!(matches!("sned".parse::<Kind>(), Err(NoLine::Key { .. })));
        assert!(Kind::ALL.iter().all(|kind| kind.name().parse() == Ok(*kind)));
    }
}
