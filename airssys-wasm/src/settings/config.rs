//! What a service reads through `wasi:config`: texts, of which some are secret.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use http::{HeaderMap, HeaderValue};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use toml::{Table, Value};

use crate::capability::HttpTarget;
use crate::schema::Written;
use crate::secrets::{self, HIDDEN};
use crate::wire::TextOr;

/// What stands before the key of a configuration value that a variable of the environment has.
const FROM_CONFIG: &str = "$config.";

/// See the module.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Config(BTreeMap<String, ConfigValue>);

/// A value of it.
#[derive(Clone, PartialEq, Eq)]
struct ConfigValue {
    text: String,
    /// Whether nobody is shown it.
    is_secret: bool,
    /// Where it is sent to, as it is written; the guest has a placeholder where there is one.
    hosts: Vec<String>,
}

impl Config {
    /// One of these texts, none of them a secret.
    pub(crate) fn of_texts(texts: &BTreeMap<String, String>) -> Self {
        let value = |text: &String| ConfigValue { text: text.clone(), is_secret: false, hosts: Vec::new() };
        Self(texts.iter().map(|(key, text)| (key.clone(), value(text))).collect())
    }

    /// One value, as the guest of this service has it.
    pub(crate) fn given(&self, service: &str, key: &str) -> Option<String> {
        let of = self.0.get(key)?;
        Some(if of.hosts.is_empty() { of.text.clone() } else { secrets::placeholder(service, key) })
    }

    /// All values, as the guest of this service has them.
    pub(crate) fn all_given(&self, service: &str) -> Vec<(String, String)> {
        self.0.keys().filter_map(|key| Some((key.clone(), self.given(service, key)?))).collect()
    }

    /// The value of a variable, as the guest of this service has it; none where it is to be that of a key that is not
    /// there.
    pub(crate) fn variable<'a>(&self, service: &str, written: &'a str) -> Option<Cow<'a, str>> {
        match written.strip_prefix(FROM_CONFIG) {
            Some(key) => self.given(service, key).map(Cow::Owned),
            None => Some(written.into()),
        }
    }

    /// The key that a variable names and that is not there.
    pub(crate) fn lacks<'a>(&self, written: &'a str) -> Option<&'a str> {
        written.strip_prefix(FROM_CONFIG).filter(|key| !self.0.contains_key(*key))
    }

    /// Puts secrets in the place of their placeholders, where the request goes to a host that they are for.
    pub(crate) fn reveal(&self, service: &str, target: &HttpTarget, headers: &mut HeaderMap) {
        for (key, of) in self.0.iter().filter(|(_, of)| of.is_for(target)) {
            let placeholder = secrets::placeholder(service, key);
            for value in headers.values_mut() {
                // A placeholder is all ASCII.
                let Some(text) = value.to_str().ok().filter(|text| text.contains(&placeholder)) else { continue };
                // Whether it can stand in a header was looked at when it was read.
                if let Ok(mut revealed) = HeaderValue::from_str(&text.replace(&placeholder, &of.text)) {
                    revealed.set_sensitive(true);
                    *value = revealed;
                }
            }
        }
    }

    /// All values, as they may be shown.
    pub(crate) fn shown(&self) -> BTreeMap<String, String> {
        let shown = |of: &ConfigValue| if of.is_secret { HIDDEN.to_owned() } else { of.text.clone() };
        self.0.iter().map(|(key, of)| (key.clone(), shown(of))).collect()
    }

    /// Whether the value of a key is secret.
    pub(crate) fn is_secret(&self, key: &str) -> bool {
        self.0.get(key).is_some_and(|of| of.is_secret)
    }
}

impl ConfigValue {
    fn is_for(&self, target: &HttpTarget) -> bool {
        self.hosts.iter().any(|host| server(host).is_some_and(|server| server.is_same_server(target)))
    }
}

/// A host that secrets may be sent to: `api.example`, `api.example:8443`, or with `http://` before it.
fn server(host: &str) -> Option<HttpTarget> {
    let (scheme, authority) = host.split_once("://").unwrap_or(("https", host));
    HttpTarget::of("GET", scheme, authority, "/")
}

/// Without any value: nobody is to log one by chance.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl<'de> Deserialize<'de> for ConfigValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Marked {
            value: String,
            #[serde(default)]
            secret: bool,
            #[serde(default)]
            hosts: Vec<String>,
        }
        let Marked { value, secret, hosts } = match TextOr::<Marked>::deserialize(deserializer)? {
            TextOr::Text(text) => return Ok(Self { text, is_secret: false, hosts: Vec::new() }),
            TextOr::Table(marked) => marked,
        };
        // From here on, also where something else in the file is wrong.
        if secret {
            secrets::remember(&value);
        }
        let (bytes, least, most) = (value.len(), secrets::LEAST, secrets::MOST);
        let wrong = if !secret && !hosts.is_empty() {
            Some("`hosts` are where a secret is sent to: add `secret = true`".to_owned())
        } else if secret && bytes < least {
            Some(format!(
                "a secret has {least} bytes at least, since a shorter one is found by chance; this one has {bytes}"
            ))
        } else if secret && bytes > most {
            Some(format!("a secret has {most} bytes at most, and this one has {bytes}"))
        } else if !hosts.is_empty() && HeaderValue::from_str(&value).is_err() {
            Some(
                "a secret with `hosts` is sent in headers, and this one has characters that cannot stand in one"
                    .to_owned(),
            )
        } else {
            let wrong = hosts.iter().find(|host| server(host).is_none());
            wrong.map(|host| {
                format!("{host:?} is no host: it is written like \"api.example\" or \"http://127.0.0.1:8080\"")
            })
        };
        match wrong {
            Some(why) => Err(D::Error::custom(why)),
            None => Ok(Self { text: value, is_secret: secret, hosts }),
        }
    }
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(Self)
    }
}

impl Written<Self> for Config {
    const KIND: &'static str = "table of texts";

    fn put(&self, field: &mut Self) {
        field.clone_from(self);
    }

    fn value(field: &Self) -> Option<Value> {
        let each = field.0.iter().map(|(key, of)| {
            let text = Value::from(of.text.as_str());
            if !of.is_secret {
                return (key.clone(), text);
            }
            let mut marked = Table::from_iter([("value".to_owned(), text), ("secret".to_owned(), true.into())]);
            if !of.hosts.is_empty() {
                marked.insert("hosts".to_owned(), of.hosts.clone().into());
            }
            (key.clone(), marked.into())
        });
        Some(each.collect::<Table>().into())
    }
}
