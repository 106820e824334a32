//! Which certificates does TLS trust where the system has none?

use rustls::pki_types::CertificateDer;

/// Returns Mozilla's root certificates if the system has none, as in an image that is made from nothing. If it has some they
/// are what counts, and so is a file or directory that the operator names (`SSL_CERT_FILE`, `SSL_CERT_DIR`).
pub(super) fn missing() -> &'static [CertificateDer<'static>] {
    let named = ["SSL_CERT_FILE", "SSL_CERT_DIR"].iter().any(|name| std::env::var_os(name).is_some());
    if named || !rustls_native_certs::load_native_certs().certs.is_empty() {
        return &[];
    }
    webpki_root_certs::TLS_SERVER_ROOT_CERTS
}
