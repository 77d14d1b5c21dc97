//! Finished bytes with their ETag.

use axum::http::HeaderValue;
use bytes::Bytes;
use sha2::{Digest, Sha256};

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
        use std::fmt::Write;
        let mut etag = String::from("\"");
        for byte in &Sha256::digest(&bytes)[..16] {
            // Writing to a String cannot fail.
            let _ = write!(etag, "{byte:02x}");
        }
        etag.push('"');
        let etag = HeaderValue::try_from(etag).unwrap_or(HeaderValue::from_static("\"\""));
        Self { bytes, etag }
    }
}
