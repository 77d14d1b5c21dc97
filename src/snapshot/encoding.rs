//! The compressed forms of an answer, at qualities that pay: of a list of 10,000 models, brotli above 5
//! takes seconds and saves little.

use std::io::{self, Read, Write};

use brotli::CompressorReader;
use flate2::{Compression, write::GzEncoder};

const GZIP_LEVEL: u32 = 6;
const BROTLI_QUALITY: u32 = 5;
/// The base-2 logarithm of brotli's window, in bytes.
const BROTLI_WINDOW: u32 = 22;
/// What brotli reads at a time, in bytes.
const BUFFER_BYTES: usize = 64 << 10;
const ZSTD_LEVEL: i32 = 3;

/// How the bytes of an answer are compressed (`Content-Encoding`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// RFC 7932.
    Brotli,
    /// RFC 8878.
    Zstd,
    /// RFC 1952.
    Gzip,
}

impl Encoding {
    /// Every one; of those that a client likes equally, it gets the first, which is the smallest.
    pub const ALL: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// Its name in HTTP.
    pub fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// `bytes`, compressed. Fails where there is no memory for it.
    pub fn compress(self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Brotli => brotli(bytes),
            // Given all at once, so that the frame says how long the content is.
            Self::Zstd => zstd::bulk::compress(bytes, ZSTD_LEVEL),
            Self::Gzip => gzip(bytes),
        }
    }
}

fn brotli(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut compressed = Vec::new();
    CompressorReader::new(bytes, BUFFER_BYTES, BROTLI_QUALITY, BROTLI_WINDOW)
        .read_to_end(&mut compressed)?;
    Ok(compressed)
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL));
    encoder.write_all(bytes)?;
    encoder.finish()
}
