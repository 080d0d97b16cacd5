//! Whether a guest may make an HTTP request. The engine makes those that it may.

use super::{Identity, Turn};
use crate::capability::HttpTarget;
use crate::operation::Operation;

impl Turn {
    /// Whether it may be made. Where not, that is written down.
    pub(super) fn may_request(&self, method: &str, scheme: &str, authority: &str, path: &str) -> bool {
        let identity = &self.identity;
        let Some(target) = HttpTarget::of(method, scheme, authority, path) else {
            // A query may be secret, and who it says it is.
            let path = path.split_once('?').map_or(path, |(path, _)| path);
            let (who, host) = authority.rsplit_once('@').map_or(("", authority), |(_, host)| ("...@", host));
            let asked = format!("{method} {scheme}://{who}{host}{path}");
            identity
                .http_denied(&asked, "it is not plain where such a request goes, so nobody is granted it".to_owned());
            return false;
        };
        let policy = &identity.terms.policy;
        let allowed = policy.lets_http(&target);
        if !allowed {
            let missing = policy.http_missing(identity.address().service(), &target);
            identity.http_denied(&target.to_string(), missing);
        }
        allowed
    }
}

impl Identity {
    /// Writes down that it may not make a request.
    #[cold]
    pub(crate) fn http_denied(&self, request: &str, missing: String) {
        self.denied(Operation::Http, request, missing);
    }
}
