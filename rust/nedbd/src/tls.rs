//! TLS: a certificate and its key, from files, read again when that is asked for.
//!
//! In: two paths of PEM files. Out: what shakes hands with clients.
//!
//! Invariants:
//! * A pair that does not fit together is refused when it is read, and a sentence names the file.
//! * When reading again fails, the pair that was read before stays in use.
//! * The key is never printed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate with its key, as clients are shown it.
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<ServerConfig>>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Tls")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads a pair, where both files are named; None where neither is.
    ///
    /// The error is a sentence for the person at the keyboard.
    pub fn open(
        certificate: Option<&Path>,
        key: Option<&Path>,
    ) -> Result<Option<Arc<Tls>>, String> {
        let (certificate, key) = match (certificate, key) {
            (None, None) => return Ok(None),
            (Some(certificate), Some(key)) => (certificate.to_owned(), key.to_owned()),
            (Some(_), None) => return Err("--tls-cert needs --tls-key beside it".to_owned()),
            (None, Some(_)) => return Err("--tls-key needs --tls-cert beside it".to_owned()),
        };
        let current = RwLock::new(read_pair(&certificate, &key)?);
        Ok(Some(Arc::new(Tls { certificate, key, current })))
    }

    /// Reads the files again; from here on new connections are shown what is in them.
    ///
    /// The error is a sentence; nothing has changed then.
    pub fn reload(&self) -> Result<(), String> {
        let read = read_pair(&self.certificate, &self.key)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(())
    }

    /// Returns what shakes hands with a client.
    pub fn acceptor(&self) -> TlsAcceptor {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&current))
    }
}

fn read_pair(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, String> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| wrong(certificate, &error))?;
    if chain.is_empty() {
        return Err(format!("{}: no certificate in PEM is in it", certificate.display()));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| match error {
        pem::Error::NoItemsFound => format!("{}: no private key in PEM is in it", key.display()),
        other => wrong(key, &other),
    })?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, secret));
    let mut config = config.map_err(|error| {
        let (certificate, key) = (certificate.display(), key.display());
        format!("{certificate} and {key} cannot be used together: {error}")
    })?;
    // Nothing else is spoken here, and a client that can do more should know.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn wrong(path: &Path, error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => format!("{}: {error}", path.display()),
        other => format!("{}: it is no PEM: {}", path.display(), kind_of(other)),
    }
}

/// Says what is wrong with a text in PEM, and nothing of the text: it may be that of a key.
fn kind_of(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a section has no line with its END",
        pem::Error::IllegalSectionStart { .. } => "a line with a BEGIN is malformed",
        pem::Error::Base64Decode(_) => "what is in a section is no base64",
        _ => "it has the wrong form, or is too long",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_pair_is_refused_with_the_name_of_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let (empty, none) = (directory.path().join("empty.pem"), directory.path().join("none.pem"));
        std::fs::write(&empty, "no PEM at all\n").unwrap();
        let refusal = |certificate: Option<&Path>, key: Option<&Path>| {
            Tls::open(certificate, key).unwrap_err()
        };
        assert!(Tls::open(None, None).unwrap().is_none());
        assert!(refusal(Some(&empty), None).contains("--tls-key"));
        assert!(refusal(None, Some(&empty)).contains("--tls-cert"));
        assert!(refusal(Some(&none), Some(&empty)).contains("none.pem"));
        assert!(refusal(Some(&empty), Some(&empty)).contains("empty.pem: no certificate"));
    }

    #[test]
    fn a_malformed_key_shows_nothing_of_itself() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        let (begin, end) = ("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----");
        for text in [
            format!("{begin}\ns3cret!\n{end}\n"),
            format!("{begin}\nc2VjcmV0\n"),
            "-----BEGIN PRIVATE KEY s3cret\n".to_owned(),
            format!("{begin} s3cret {end}"),
        ] {
            std::fs::write(&path, &text).unwrap();
            let error = Tls::open(Some(&path), Some(&path)).unwrap_err();
            assert!(error.contains("key.pem: it is no PEM"), "{text}: {error}");
            assert!(!error.contains("cret") && !error.contains("115, 51"), "{text}: {error}");
        }
    }
}
