//! TLS towards servers: who vouches for them is read once, when the first of them is asked.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;

use super::ClientError;
use crate::blocking;
use crate::capability::Host;

/// What requests and responses go over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub(super) struct Tls {
    roots: Vec<Vec<u8>>,
    config: OnceCell<Arc<ClientConfig>>,
}

impl Tls {
    pub(super) fn new(roots: Vec<Vec<u8>>) -> Self {
        Self { roots, config: OnceCell::new() }
    }

    pub(super) async fn secure(&self, host: &Host, stream: TcpStream) -> Result<Box<dyn Stream>, ClientError> {
        let name = match host {
            Host::Ip(ip) => ServerName::from(*ip),
            Host::Name(name) => ServerName::try_from(name.to_string()).map_err(|_| ClientError::NoServerName)?,
        };
        let config = self.config.get_or_try_init(|| config(self.roots.clone())).await?;
        let connecting = TlsConnector::from(Arc::clone(config)).connect(name, stream);
        Ok(Box::new(connecting.await.map_err(ClientError::Tls)?))
    }
}

/// Trusts whom the system trusts, and these.
async fn config(own: Vec<Vec<u8>>) -> Result<Arc<ClientConfig>, ClientError> {
    // It reads some hundred files.
    let read = blocking::spawn(rustls_native_certs::load_native_certs);
    let found = read.await.map_err(|error| ClientError::Trust(error.to_string()))?;
    for error in found.errors {
        tracing::warn!(target: "airssys", %error, "a certificate that HTTP requests would trust is not there");
    }
    let mut roots = RootCertStore::empty();
    for certificate in found.certs.into_iter().chain(own.into_iter().map(CertificateDer::from)) {
        if let Err(error) = roots.add(certificate) {
            tracing::warn!(target: "airssys", %error, "a certificate that HTTP requests would trust is none");
        }
    }
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| ClientError::Trust(error.to_string()))?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
