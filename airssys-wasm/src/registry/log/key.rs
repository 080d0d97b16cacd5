//! What a record is of.

use std::fmt;
use std::str::FromStr;

use crate::address::is_service_name;

/// Ends of deployments that count, of each service, the youngest.
pub(crate) const HISTORY: usize = 100;

const TOPOLOGY: &str = "topology";
const STOPPED: &str = "stopped";
const DEPLOYMENTS: &str = "deployments/";
const INTENTS: &str = "intents/";

/// What a record is of; its text is the name by which an operator knows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// Which topology is in force, and which is about to be.
    Topology,
    /// Which services an operator stopped.
    Stopped,
    /// The end of a deployment of this service.
    End(String),
    /// What a deployment of this service is about to do. It is over with the next end.
    Intent(String),
}

impl Key {
    /// How many of its records count, the last ones.
    pub(super) fn most(&self) -> usize {
        if matches!(self, Self::End(_)) { HISTORY } else { 1 }
    }

    /// What is over with a record of it.
    pub(super) fn ends(&self) -> Option<Self> {
        match self {
            Self::End(service) => Some(Self::Intent(service.clone())),
            _ => None,
        }
    }

    /// What a record of it is over with.
    pub(super) fn ended_by(&self) -> Option<Self> {
        match self {
            Self::Intent(service) => Some(Self::End(service.clone())),
            _ => None,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topology => f.write_str(TOPOLOGY),
            Self::Stopped => f.write_str(STOPPED),
            Self::End(service) => write!(f, "{DEPLOYMENTS}{service}"),
            Self::Intent(service) => write!(f, "{INTENTS}{service}"),
        }
    }
}

impl FromStr for Key {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let service = |name: &str| is_service_name(name).then(|| name.to_owned()).ok_or(());
        match text {
            TOPOLOGY => Ok(Self::Topology),
            STOPPED => Ok(Self::Stopped),
            _ => match (text.strip_prefix(DEPLOYMENTS), text.strip_prefix(INTENTS)) {
                (Some(name), _) => service(name).map(Self::End),
                (_, Some(name)) => service(name).map(Self::Intent),
                (None, None) => Err(()),
            },
        }
    }
}
