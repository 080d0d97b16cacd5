//! From a target to a connection: which addresses, which of these may be reached, and the first of those that answers.

use std::net::{IpAddr, SocketAddr};

use tokio::net::TcpStream;

use super::tls::Stream;
use super::{Client, ClientError};
use crate::capability::{Host, HttpTarget, Near};

/// How many addresses of a name are tried.
const MOST: usize = 8;

impl Client {
    pub(super) async fn connect(&self, target: &HttpTarget, nearest: Near) -> Result<Box<dyn Stream>, ClientError> {
        if let Some(peers) = &self.peers {
            let peer = peers.of(target).ok_or(ClientError::NoPeer)?;
            near_enough(target, vec![peer.address(target)], nearest)?;
            return peers.connect(peer, target);
        }
        let stream = first(self.addresses(target, nearest).await?).await?;
        // A request is written in one piece mostly, and somebody waits for the answer. It is slower where this fails.
        let _it_is_slower = stream.set_nodelay(true);
        if target.is_tls() { self.tls.secure(&target.host, stream).await } else { Ok(Box::new(stream)) }
    }

    /// Where the target is, of that what is near enough.
    async fn addresses(&self, target: &HttpTarget, nearest: Near) -> Result<Vec<SocketAddr>, ClientError> {
        let found = match &target.host {
            Host::Ip(ip) => vec![*ip],
            Host::Name(name) => self.resolve(name).await?,
        };
        let allowed = near_enough(target, found, nearest)?;
        // The one that was looked at is the one that is gone to, also where it came in other clothes.
        Ok(allowed.iter().map(|ip| SocketAddr::new(ip.to_canonical(), target.port)).collect())
    }

    pub(super) async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, ClientError> {
        if self.peers.is_some() {
            return Err(ClientError::NoPeer);
        }
        if let Some(resolver) = &self.resolver {
            return resolver(name.to_owned()).await.map_err(ClientError::Lookup);
        }
        let _place = self.lookups.acquire().await;
        let found = tokio::net::lookup_host((name, 0)).await.map_err(ClientError::Lookup)?;
        Ok(found.map(|address| address.ip()).collect())
    }
}

/// Those of the addresses of a target that may be gone to.
fn near_enough(target: &HttpTarget, found: Vec<IpAddr>, nearest: Near) -> Result<Vec<IpAddr>, ClientError> {
    let is_allowed = |ip: &IpAddr| Near::of(*ip) <= nearest;
    let (mut allowed, refused): (Vec<IpAddr>, Vec<IpAddr>) = found.into_iter().partition(is_allowed);
    allowed.truncate(MOST);
    match (allowed.is_empty(), refused.first()) {
        (true, Some(ip)) => Err(ClientError::TooNear { host: target.host.clone(), ip: *ip, near: Near::of(*ip) }),
        (true, None) => Err(ClientError::NoAddress),
        (false, _) => Ok(allowed),
    }
}

/// Connects to the first that answers.
async fn first(addresses: Vec<SocketAddr>) -> Result<TcpStream, ClientError> {
    let mut failed = ClientError::NoAddress;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = ClientError::Connect(error),
        }
    }
    Err(failed)
}
