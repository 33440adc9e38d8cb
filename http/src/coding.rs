//! Content codings (RFC 9110, section 8.4): gzip, brotli and zstd, made while a document is sent.
//!
//! The levels are the quick ones: a feed is asked for every minute, and the cores belong to the
//! shards.

use std::io::Write;

use brotli::CompressorWriter;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::exchange::{Body, Chunks, Response};
use crate::limits::{
    CHUNK_BYTES, CODED_BYTES_MIN, CODING_BROTLI_QUALITY, CODING_BROTLI_WINDOW_BITS,
    CODING_GZIP_LEVEL, CODING_ZSTD_LEVEL,
};

/// How the bytes of a document are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Not at all.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 7932.
    Brotli,
    /// RFC 8878.
    Zstd,
}

impl Coding {
    /// Those that pack, the best first.
    const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// Its name in headers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    /// What a client with this `Accept-Encoding` likes best (RFC 9110, section 12.5.3). One that we
    /// cannot read asks for nothing.
    #[must_use]
    pub fn best_of(accepted: &str) -> Self {
        let weight = |coding: Self| {
            let named = weight_of(accepted, coding.name());
            named.or_else(|| weight_of(accepted, "*")).unwrap_or(0)
        };
        let best = Self::ALL.into_iter().rev().max_by_key(|coding| weight(*coding));
        let best = best.filter(|coding| {
            let plain = weight_of(accepted, "identity").unwrap_or(0);
            weight(*coding) > 0 && weight(*coding) >= plain
        });
        best.unwrap_or(Self::Identity)
    }
}

/// The weight of a coding in thousandths, if it is named.
fn weight_of(accepted: &str, name: &str) -> Option<u16> {
    accepted.split(',').find_map(|range| {
        let mut pieces = range.split(';').map(str::trim);
        let is_it = pieces.next()?.eq_ignore_ascii_case(name);
        is_it.then(|| pieces.find_map(quality).unwrap_or(1_000))
    })
}

/// `q=0.5` in thousandths (RFC 9110, section 12.4.2). Anything but a number from 0 to 1 is 0.
fn quality(piece: &str) -> Option<u16> {
    let value = piece.strip_prefix("q=").or_else(|| piece.strip_prefix("Q="))?;
    let number = value.parse::<f32>().ok().filter(|number| (0.0..=1.0).contains(number));
    // Between 0 and 1000.
    Some(number.map_or(0, |number| (number * 1_000.0) as u16))
}

/// The response packed, if it is worth it. Small answers are not.
pub(crate) fn coded(mut response: Response, coding: Coding) -> Response {
    let is_worth_it = match &response.body {
        Body::Chunks(_) => true,
        Body::Bytes(bytes) => response.status == 200 && bytes.len() >= CODED_BYTES_MIN,
        Body::Empty { .. } => false,
    };
    if is_worth_it || response.status == 304 {
        response = response.with("Vary", "Accept-Encoding");
    }
    if !is_worth_it || coding == Coding::Identity {
        return response;
    }
    let chunks: Chunks = match response.body {
        Body::Chunks(chunks) => chunks,
        body => Box::new(std::iter::once(body.into_bytes())),
    };
    response.body = match Packer::new(coding) {
        Some(packer) => Body::Chunks(Box::new(Packed { chunks, packer: Some(packer) })),
        // Only zstd can fail here, for want of memory.
        None => {
            response.body = Body::Chunks(chunks);
            return response;
        }
    };
    response.with("Content-Encoding", coding.name())
}

/// What packs; each writes into memory, which does not fail.
enum Packer {
    Gzip(GzEncoder<Vec<u8>>),
    Brotli(Box<CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Packer {
    fn new(coding: Coding) -> Option<Self> {
        match coding {
            Coding::Identity => None,
            Coding::Gzip => {
                Some(Self::Gzip(GzEncoder::new(Vec::new(), Compression::new(CODING_GZIP_LEVEL))))
            }
            Coding::Brotli => Some(Self::Brotli(Box::new(CompressorWriter::new(
                Vec::new(),
                CHUNK_BYTES,
                CODING_BROTLI_QUALITY,
                CODING_BROTLI_WINDOW_BITS,
            )))),
            Coding::Zstd => zstd::stream::write::Encoder::new(Vec::new(), CODING_ZSTD_LEVEL)
                .ok()
                .map(Self::Zstd),
        }
    }

    /// Takes a slice, and gives what has been packed by now.
    fn put(&mut self, slice: &[u8]) -> Vec<u8> {
        // Into memory.
        let _ = match self {
            Self::Gzip(packer) => packer.write_all(slice),
            Self::Brotli(packer) => packer.write_all(slice),
            Self::Zstd(packer) => packer.write_all(slice),
        };
        let packed = match self {
            Self::Gzip(packer) => packer.get_mut(),
            Self::Brotli(packer) => packer.get_mut(),
            Self::Zstd(packer) => packer.get_mut(),
        };
        std::mem::take(packed)
    }

    /// The end.
    fn end(self) -> Vec<u8> {
        match self {
            Self::Gzip(packer) => packer.finish().unwrap_or_default(),
            Self::Brotli(packer) => packer.into_inner(),
            Self::Zstd(packer) => packer.finish().unwrap_or_default(),
        }
    }
}

/// A packed document, slice by slice.
struct Packed {
    chunks: Chunks,
    /// `None` behind the end.
    packer: Option<Packer>,
}

impl Iterator for Packed {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        while let Some(packer) = &mut self.packer {
            let packed = match self.chunks.next() {
                Some(slice) => packer.put(&slice),
                None => self.packer.take()?.end(),
            };
            if !packed.is_empty() {
                return Some(packed);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn the_best_that_both_have_is_taken() {
        for (accepted, expected) in [
            ("gzip, deflate, br, zstd", Coding::Zstd),
            ("gzip, deflate, br", Coding::Brotli),
            ("gzip", Coding::Gzip),
            ("GZIP;q=0.5", Coding::Gzip),
            ("gzip;q=1.0, br;q=0.9", Coding::Gzip),
            ("*", Coding::Zstd),
            ("*;q=0.1, zstd;q=0", Coding::Brotli),
            ("identity, gzip;q=0.5", Coding::Identity),
            ("gzip;q=0", Coding::Identity),
            ("gzip;q=x", Coding::Identity),
            ("gzip;q=2", Coding::Identity),
            ("deflate", Coding::Identity),
            ("", Coding::Identity),
            (";,;q=,", Coding::Identity),
        ] {
            assert_eq!(Coding::best_of(accepted), expected, "{accepted}");
        }
    }

    fn unpacked(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match coding {
            Coding::Identity => out.extend_from_slice(bytes),
            Coding::Gzip => {
                flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).map(drop).unwrap();
            }
            Coding::Brotli => {
                brotli::Decompressor::new(bytes, 4096).read_to_end(&mut out).map(drop).unwrap();
            }
            Coding::Zstd => out = zstd::stream::decode_all(bytes).unwrap(),
        }
        out
    }

    #[test]
    fn what_is_packed_is_the_same_document() {
        let slices = || (0..200u32).map(|n| format!("{n} is a line\n").repeat(100).into_bytes());
        let whole: Vec<u8> = slices().flatten().collect();
        for coding in Coding::ALL.into_iter().chain([Coding::Identity]) {
            let response = coded(Response::json_chunks(Box::new(slices())), coding);
            let headers: Vec<String> =
                response.headers().map(|(name, value)| format!("{name}: {value}")).collect();
            assert!(headers.contains(&"Vary: Accept-Encoding".to_owned()));
            let named = headers.contains(&format!("Content-Encoding: {}", coding.name()));
            assert_eq!(named, coding != Coding::Identity);
            let Body::Chunks(chunks) = response.body else { panic!("not streamed") };
            let slices: Vec<Vec<u8>> = chunks.collect();
            assert!(slices.iter().all(|slice| !slice.is_empty()));
            let bytes = slices.concat();
            assert_eq!(unpacked(coding, &bytes), whole, "{coding:?}");
            assert!(coding == Coding::Identity || bytes.len() < whole.len() / 5, "{coding:?}");
        }
    }

    #[test]
    fn a_small_answer_and_an_error_stay_as_they_are() {
        for response in [Response::json(200, &"x"), Response::error(503, &"x".repeat(9_999))] {
            let response = coded(response, Coding::Gzip);
            assert!(response.headers().all(|(name, _)| name != "Content-Encoding"));
        }
    }
}
