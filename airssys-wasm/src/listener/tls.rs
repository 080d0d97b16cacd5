//! The certificate of a listener.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::error::ListenError;
use super::settings::Tls;

/// Reads a certificate and its key. Waits for the disk.
pub(super) fn load(listen: SocketAddr, tls: &Tls) -> Result<Arc<ServerConfig>, ListenError> {
    let wrong = |path: &Path, detail: String| ListenError::Certificate { listen, path: path.to_owned(), detail };
    let read = |path: &Path| std::fs::read(path).map_err(|error| wrong(path, format!("cannot be read: {error}")));
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&read(&tls.certificate)?)
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(&tls.certificate, format!("is no certificate: {error}")))?;
    if certificates.is_empty() {
        return Err(wrong(&tls.certificate, "has no certificate in it".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(&read(&tls.key)?)
        .map_err(|error| wrong(&tls.key, format!("has no private key in it: {error}")))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, key))
        .map_err(|error| wrong(&tls.certificate, format!("cannot be used with its key: {error}")))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
