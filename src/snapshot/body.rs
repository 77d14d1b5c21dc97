//! Finished bytes with their ETags. A body that is kept is compressed at most once per encoding.

use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::http::HeaderValue;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::encoding::Encoding;

/// The smallest body that is compressed, in bytes: below, the headers weigh as much.
const MIN_ENCODED_BYTES: usize = 1024;

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
    /// The same bytes compressed; none for bytes that are sent once, or too small. Clones share them.
    encoded: Option<Arc<[Encoded; Encoding::ALL.len()]>>,
}

/// The bytes of a body in one encoding.
#[derive(Debug)]
pub struct Encoded {
    /// How they are compressed.
    pub encoding: Encoding,
    /// Its own ETag, since its bytes differ.
    pub etag: HeaderValue,
    bytes: OnceLock<Bytes>,
    /// Whether compression has started.
    is_begun: AtomicBool,
}

impl Body {
    /// Bytes that are sent once, with their ETag.
    pub fn once(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let etag = format!("\"{}\"", &sha256(&bytes)[..32]);
        Self {
            bytes,
            etag: header(&etag),
            encoded: None,
        }
    }

    /// Bytes that are kept for many answers, with their ETag.
    pub fn kept(bytes: Bytes) -> Self {
        let mut body = Self::once(bytes);
        if body.bytes.len() >= MIN_ENCODED_BYTES {
            let etag = body.etag.to_str().unwrap_or_default().trim_end_matches('"');
            let encoded = Encoding::ALL.map(|encoding| Encoded {
                encoding,
                etag: header(&format!("{etag}-{}\"", encoding.name())),
                bytes: OnceLock::new(),
                is_begun: AtomicBool::new(false),
            });
            body.encoded = Some(Arc::new(encoded));
        }
        body
    }

    /// The forms in which it may be sent besides its own; empty if it is never compressed.
    pub fn encoded(&self) -> &[Encoded] {
        match &self.encoded {
            Some(encoded) => &**encoded,
            None => &[],
        }
    }

    /// The form in `encoding`; none if it is never compressed.
    pub fn form(&self, encoding: Encoding) -> Option<&Encoded> {
        self.encoded().iter().find(|form| form.encoding == encoding)
    }

    /// Compresses it, if it has that form. After a failure it is served as it is.
    pub fn compress(&self, encoding: Encoding) -> io::Result<()> {
        if let Some(form) = self.form(encoding) {
            let compressed = encoding.compress(&self.bytes)?;
            form.bytes.get_or_init(|| compressed.into());
        }
        Ok(())
    }

    /// The memory that it takes at most, in bytes.
    pub fn weight(&self) -> usize {
        // Models' lists come down to a tenth in each encoding, other texts to less than a third.
        match self.encoded {
            Some(_) => self.bytes.len() * 2,
            None => self.bytes.len(),
        }
    }
}

impl Encoded {
    /// The bytes, if they are compressed by now.
    pub fn ready(&self) -> Option<&Bytes> {
        self.bytes.get()
    }

    /// Claims the compression for the caller: true for the first, false for all others.
    pub fn begin(&self) -> bool {
        !self.is_begun.swap(true, Ordering::Relaxed)
    }
}

fn header(etag: &str) -> HeaderValue {
    HeaderValue::try_from(etag).unwrap_or(HeaderValue::from_static("\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_bodies_and_those_sent_once_have_one_form() {
        let large = Bytes::from(vec![b'x'; MIN_ENCODED_BYTES]);
        assert!(Body::once(large.clone()).encoded().is_empty());
        assert!(Body::kept(large.slice(1..)).encoded().is_empty());
        let body = Body::kept(large.clone());
        assert_eq!(body.etag, Body::once(large).etag);
        let etags: Vec<_> = body
            .encoded()
            .iter()
            .map(|form| form.etag.clone())
            .collect();
        let own = body.etag.to_str().expect("text").trim_matches('"');
        assert_eq!(
            etags,
            ["br", "zstd", "gzip"].map(|name| format!("\"{own}-{name}\""))
        );
    }

    #[test]
    fn a_body_is_compressed_once_for_all_its_clones() {
        let body = Body::kept(Bytes::from(vec![b'x'; 5000]));
        let clone = body.clone();
        let form = clone.form(Encoding::Gzip).expect("large enough");
        assert!(form.ready().is_none());
        assert!(form.begin());
        assert!(!form.begin(), "it is claimed");
        body.compress(Encoding::Gzip).expect("compressed");
        assert!(form.ready().expect("it is there").len() < 100);
        assert!(clone.form(Encoding::Brotli).expect("one").ready().is_none());
    }
}
