//! Grants line by line, as an operator names them: by the key of `[service.grants]`, and what stands under it.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::time::SystemTime;

use super::given::{Given, Revoked};
use super::grant::{FileGrant, Grants};
use super::spelling;

/// The keys of `[service.grants]`, in the order of the book.
pub(crate) const KEYS: [&str; 9] =
    ["send", "call", "publish", "subscribe", "spawn", "files", "environment", "sockets", "http"];

/// Why there is no such line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoLine {
    /// There is no such key.
    #[error("{key:?} is no kind of grant: the kinds are {}", KEYS.join(", "))]
    Key {
        /// What was asked for.
        key: String,
    },
    /// It cannot be written so.
    #[error("{0}")]
    Text(String),
}

/// What stands under one key: a text each. Of a folder it is the path that the guest sees, of a variable its name.
pub(crate) trait Lines {
    /// Those that are granted now.
    fn texts(&self) -> Vec<String>;

    /// The one that says the same as `text`.
    fn find(&self, text: &str) -> Result<Option<Revoked>, NoLine>;

    /// Adds one, where it is not there; whether it was not.
    fn add(&mut self, text: &str) -> Result<bool, NoLine>;

    /// Takes those out that are granted no more, and this one.
    fn take_out(&mut self, text: &str);

    /// Those that are granted until some time.
    fn ends(&self) -> Vec<(String, SystemTime, Revoked)>;
}

fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, NoLine> {
    text.parse().map_err(|why: T::Err| NoLine::Text(why.to_string()))
}

impl<T: FromStr<Err: Display> + Display + PartialEq> Lines for Vec<Given<T>> {
    fn texts(&self) -> Vec<String> {
        self.iter().filter(|given| !given.revoked.is_revoked()).map(ToString::to_string).collect()
    }

    fn find(&self, text: &str) -> Result<Option<Revoked>, NoLine> {
        let wanted: Given<T> = parsed(text)?;
        let found = self.iter().find(|given| given.what == wanted.what && !given.revoked.is_revoked());
        Ok(found.map(|given| given.revoked.clone()))
    }

    fn add(&mut self, text: &str) -> Result<bool, NoLine> {
        let new: Given<T> = parsed(text)?;
        match self.iter_mut().find(|given| given.what == new.what && !given.revoked.is_revoked()) {
            Some(given) if given.until == new.until => return Ok(false),
            // The one that is in use goes on to its own end until the new one takes its place.
            Some(given) => *given = new,
            None => self.push(new),
        }
        Ok(true)
    }

    fn take_out(&mut self, text: &str) {
        let gone = parsed::<Given<T>>(text).ok().map(|gone| gone.what);
        self.retain(|given| !given.revoked.is_revoked() && Some(&given.what) != gone.as_ref());
    }

    fn ends(&self) -> Vec<(String, SystemTime, Revoked)> {
        let ends = self.iter().filter(|given| !given.revoked.is_revoked());
        ends.filter_map(|given| Some((given.what.to_string(), given.until?, given.revoked.clone()))).collect()
    }
}

impl Lines for BTreeMap<String, FileGrant> {
    fn texts(&self) -> Vec<String> {
        self.iter().filter(|(_, file)| !file.revoked.is_revoked()).map(|(guest, _)| guest.clone()).collect()
    }

    fn find(&self, text: &str) -> Result<Option<Revoked>, NoLine> {
        Ok(self.get(text).map(|file| file.revoked.clone()).filter(|revoked| !revoked.is_revoked()))
    }

    fn add(&mut self, text: &str) -> Result<bool, NoLine> {
        let why = format!("a folder such as {text:?} is granted with its place in the host, in the topology");
        Err(NoLine::Text(why))
    }

    fn take_out(&mut self, text: &str) {
        self.retain(|guest, file| guest != text && !file.revoked.is_revoked());
    }

    fn ends(&self) -> Vec<(String, SystemTime, Revoked)> {
        let ends = self.iter().filter(|(_, file)| !file.revoked.is_revoked());
        ends.filter_map(|(guest, file)| Some((guest.clone(), file.until?, file.revoked.clone()))).collect()
    }
}

/// A variable that an instance was made with is its own: there is nothing to take away from that one.
impl Lines for BTreeMap<String, String> {
    fn texts(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }

    fn find(&self, text: &str) -> Result<Option<Revoked>, NoLine> {
        Ok(self.contains_key(text).then(Revoked::default))
    }

    fn add(&mut self, text: &str) -> Result<bool, NoLine> {
        let bad = |why: &str| NoLine::Text(format!("{text:?} {why}"));
        let (name, value) = text.split_once('=').ok_or_else(|| bad("is not NAME=VALUE"))?;
        if !spelling::is_variable(name) || value.contains('\0') {
            return Err(bad("cannot be a variable"));
        }
        Ok(self.insert(name.to_owned(), value.to_owned()).as_deref() != Some(value))
    }

    fn take_out(&mut self, text: &str) {
        self.remove(text);
    }

    fn ends(&self) -> Vec<(String, SystemTime, Revoked)> {
        Vec::new()
    }
}

/// Lets those that stay be one with what they were.
fn stay<T: PartialEq>(all: &mut [Given<T>], before: &[Given<T>]) {
    for given in all {
        if let Some(same) = before.iter().find(|same| *same == given && !same.revoked.is_revoked()) {
            given.revoked = same.revoked.clone();
        }
    }
}

impl Grants {
    /// Lets the grants that stay be one with those before them: what is taken away of these is so here as well.
    pub(crate) fn follow(&mut self, before: &Self) {
        stay(&mut self.send, &before.send);
        stay(&mut self.call, &before.call);
        stay(&mut self.publish, &before.publish);
        stay(&mut self.subscribe, &before.subscribe);
        stay(&mut self.spawn, &before.spawn);
        stay(&mut self.sockets, &before.sockets);
        stay(&mut self.http, &before.http);
        for (guest, file) in &mut self.files {
            if let Some(same) = before.files.get(guest).filter(|same| !same.revoked.is_revoked()) {
                file.revoked = same.revoked.clone();
            }
        }
    }

    /// What stands under a key.
    pub(crate) fn under(&self, key: &str) -> Result<&dyn Lines, NoLine> {
        Ok(match key {
            "send" => &self.send,
            "call" => &self.call,
            "publish" => &self.publish,
            "subscribe" => &self.subscribe,
            "spawn" => &self.spawn,
            "files" => &self.files,
            "environment" => &self.environment,
            "sockets" => &self.sockets,
            "http" => &self.http,
            other => return Err(NoLine::Key { key: other.to_owned() }),
        })
    }

    /// The same, to be changed.
    pub(crate) fn under_mut(&mut self, key: &str) -> Result<&mut dyn Lines, NoLine> {
        Ok(match key {
            "send" => &mut self.send,
            "call" => &mut self.call,
            "publish" => &mut self.publish,
            "subscribe" => &mut self.subscribe,
            "spawn" => &mut self.spawn,
            "files" => &mut self.files,
            "environment" => &mut self.environment,
            "sockets" => &mut self.sockets,
            "http" => &mut self.http,
            other => return Err(NoLine::Key { key: other.to_owned() }),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use super::{Grants, KEYS, NoLine};

    #[test]
    fn a_line_is_added_found_and_taken_out_by_what_it_says() {
        for (key, text, same) in [
            ("send", "a/*", "a/*"),
            ("call", "pricing#quote", "pricing#quote"),
            ("publish", "t", "t"),
            ("subscribe", "t/**", "t/**"),
            ("spawn", "w/*", "w/*"),
            ("sockets", "127.0.0.1:80", "[::ffff:127.0.0.1]:080"),
            ("http", "GET https://a/x", "GET https://a/x"),
        ] {
            let mut grants = Grants::default();
            assert!(grants.under_mut(key).unwrap().add(text).unwrap(), "{key}");
            assert!(!grants.under_mut(key).unwrap().add(same).unwrap(), "{key}: it is there");
            assert_eq!(grants.under(key).unwrap().texts(), [text], "{key}");
            let copy = grants.clone();
            grants.under(key).unwrap().find(same).unwrap().unwrap().revoke();
            assert_eq!(copy.under(key).unwrap().texts(), [""; 0], "{key}: all copies are one");
            grants.under_mut(key).unwrap().take_out(same);
            assert_eq!(grants, Grants::default(), "{key}");
        }
    }

    #[test]
    fn a_line_may_have_an_end_and_is_the_same_line_with_another_one() {
        let mut grants = Grants::default();
        let lines = grants.under_mut("call").unwrap();
        assert!(lines.add("b until 2027-01-01T00:00:00Z").unwrap());
        assert!(!lines.add("b until 2027-01-01T00:00:00Z").unwrap());
        assert_eq!(lines.ends().len(), 1);
        assert!(lines.add("b").unwrap(), "for good");
        assert_eq!((lines.texts(), lines.ends().len()), (vec!["b".to_owned()], 0));
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
        assert!(grants.under_mut("environment").unwrap().add("TZ=UTC").unwrap());
        assert!(grants.under_mut("environment").unwrap().add("TZ=CET").unwrap());
        assert_eq!(grants.environment.get("TZ").map(String::as_str), Some("CET"));
        for (key, bad) in [("environment", "TZ"), ("environment", "=x"), ("files", "/data"), ("send", "a//b")] {
            let told = grants.under_mut(key).unwrap().add(bad).unwrap_err();
            assert!(matches!(told, NoLine::Text(_)) && told.to_string().contains(bad), "{told}");
        }
        assert!(matches!(grants.under("sned"), Err(NoLine::Key { .. })));
        assert!(KEYS.iter().all(|key| grants.under(key).is_ok()));
    }
}
