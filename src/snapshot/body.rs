//! Finished bytes with their ETag.

use axum::http::HeaderValue;
use bytes::Bytes;
use sha2::{Digest, Sha256};

/// The SHA-256 of `bytes`, in lower-case hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// Finished bytes, and the strong ETag of their content.
#[derive(Clone, Debug)]
pub struct Body {
    /// JSON.
    pub bytes: Bytes,
    /// The ETag, in quotes.
    pub etag: HeaderValue,
}

impl Body {
    /// Computes the ETag of `bytes`.
    pub fn of(bytes: Bytes) -> Self {
        let etag = format!("\"{}\"", &sha256(&bytes)[..32]);
        let etag = HeaderValue::try_from(etag).unwrap_or(HeaderValue::from_static("\"\""));
        Self { bytes, etag }
    }
}
