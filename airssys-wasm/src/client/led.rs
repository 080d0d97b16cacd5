//! Where a name leads that sockets ask for: as it was found, for its time.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::names::Led;
use super::{Client, ClientError};

/// How many addresses of a name are taken.
const MOST_ADDRESSES: usize = 64;

/// How long is remembered that a name cannot be resolved: a guest that asks again and again asks nobody else.
const FAILED: Duration = Duration::from_secs(1);

impl Client {
    /// Where a name leads: as it was found last, or as it is found now where that is longer ago than `lasts`.
    ///
    /// # Errors
    ///
    /// It cannot be resolved.
    pub(crate) async fn led_to(&self, name: &str, lasts: Duration) -> Result<Arc<[IpAddr]>, ClientError> {
        self.led_to_at(name, lasts, Instant::now()).await
    }

    /// The same at this time, from which on it counts.
    async fn led_to_at(&self, name: &str, lasts: Duration, now: Instant) -> Result<Arc<[IpAddr]>, ClientError> {
        if let Some(led) = self.names.known(name, now) {
            return led.to.ok_or(ClientError::NoAddress);
        }
        let (found, lasts, failed) = match self.resolve(name).await {
            Ok(mut found) => {
                found.truncate(MOST_ADDRESSES);
                (Some(found.into_iter().map(|ip| ip.to_canonical()).collect()), lasts, ClientError::NoAddress)
            }
            Err(error) => (None, FAILED.min(lasts), error),
        };
        // Who has asked at the same time may have been told something else: the first answer counts.
        self.names.put(name, Led { to: found, until: now + lasts }, now).to.ok_or(failed)
    }

    /// Where a name led when it was resolved last, however long ago that is.
    pub(crate) fn led_to_last(&self, name: &str) -> Option<Arc<[IpAddr]>> {
        self.names.last(name)
    }

    /// A name that leads to this address.
    pub(crate) fn name_of(&self, ip: IpAddr) -> Option<Box<str>> {
        self.names.of(ip.to_canonical())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU8, Ordering};
    use std::time::{Duration, Instant};

    use crate::client::names::MOST;
    use crate::client::{Client, ClientSettings, Resolver};

    const LASTS: Duration = Duration::from_secs(30);

    /// A client by whose resolver a name leads somewhere else each time, and `gone` nowhere.
    fn client() -> (Client, Arc<AtomicU8>) {
        let asked = Arc::new(AtomicU8::new(0));
        let counted = Arc::clone(&asked);
        let resolver: Resolver = Arc::new(move |name| {
            let times = counted.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move {
                match &*name {
                    "gone" => Err(std::io::ErrorKind::NotFound.into()),
                    _ => Ok(vec![Ipv4Addr::new(10, 0, 0, times).into()]),
                }
            })
        });
        (Client::new(ClientSettings { resolver: Some(resolver), ..ClientSettings::default() }), asked)
    }

    fn ip(last: u8) -> Vec<IpAddr> {
        vec![Ipv4Addr::new(10, 0, 0, last).into()]
    }

    #[tokio::test]
    async fn a_name_leads_to_one_place_for_its_time_and_is_resolved_again_after_it() {
        let ((client, asked), start) = (client(), Instant::now());
        let led =
            async |name: &str, after: Duration| client.led_to_at(name, LASTS, start + after).await.unwrap().to_vec();
        for _ in 0..3 {
            assert_eq!(led("a", Duration::ZERO).await, ip(0));
        }
        assert_eq!(led("b", Duration::ZERO).await, ip(1), "each by itself");
        assert_eq!(led("a", LASTS - Duration::from_nanos(1)).await, ip(0));
        assert_eq!(client.led_to_last("a").as_deref(), Some(&*ip(0)));
        assert_eq!(led("a", LASTS).await, ip(2));
        assert_eq!((asked.load(Ordering::SeqCst), client.name_of(ip(2)[0]).as_deref()), (3, Some("a")));
        assert_eq!(client.name_of(ip(0)[0]), None);
    }

    #[tokio::test]
    async fn a_name_that_leads_nowhere_is_asked_for_once_a_second() {
        let ((client, asked), start) = (client(), Instant::now());
        for times in 0..3 {
            for _ in 0..9 {
                assert!(client.led_to_at("gone", LASTS, start + Duration::from_secs(times)).await.is_err());
            }
            assert_eq!(u64::from(asked.load(Ordering::SeqCst)), times + 1);
        }
    }

    #[tokio::test]
    async fn who_asks_at_the_same_time_is_told_the_same() {
        let (client, _) = client();
        let (one, other) = tokio::join!(client.led_to("a", LASTS), client.led_to("a", LASTS));
        assert_eq!(one.unwrap(), other.unwrap());
    }

    #[tokio::test]
    async fn no_more_names_are_remembered_than_there_may_be() {
        let (client, _) = client();
        for name in 0..MOST + 9 {
            client.led_to(&name.to_string(), LASTS).await.unwrap();
        }
        assert!(client.names.len() <= MOST);
    }
}
