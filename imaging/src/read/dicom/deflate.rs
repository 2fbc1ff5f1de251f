//! Deflated data sets (PS3.5, A.5).

use super::{data_set::DataSet, elements::Elements, pixels::Pixels};
use flate2::bufread::DeflateDecoder;
use std::io::Read;

/// The most that is inflated to find the pixel data.
const HEAD: usize = 1 << 24;
/// The most that is inflated at all, 512 MiB.
const MOST: usize = 1 << 29;

/// A file whose bytes from `at` on are inflated: first what stands before the pixel data, then as much as the pixels take.
pub(super) fn inflate(bytes: &[u8], at: usize) -> Result<Vec<u8>, String> {
    let mut out = bytes[..at].to_vec();
    let mut decoder = DeflateDecoder::new(&bytes[at..]);
    let mut read = |out: &mut Vec<u8>, end: usize| {
        let most = end.saturating_sub(out.len()) as u64;
        let count = (&mut decoder).take(most).read_to_end(out);
        count.map_err(|e| format!("a damaged deflated data set: {e}"))
    };
    let mut end = at + (1 << 16);
    let [start, end] = loop {
        read(&mut out, end)?;
        let whole = out.len() < end;
        let mut reader = Elements::new(&out, at, true);
        reader.explicit = reader.looks_explicit();
        match reader.pixel_data() {
            Ok(Some(place)) => break place,
            Ok(None) if whole => return Ok(out),
            Err(message) if whole => return Err(message),
            _ if end >= at + HEAD => return Err(format!("no pixel data within the first {HEAD} bytes")),
            _ => end = at + 4 * (end - at),
        }
    };
    let pixels = Pixels::of(&DataSet::start(&out[..start], at)?, None)?;
    let expected = pixels.bytes()?;
    if (end - start) / 2 > expected + 16 || expected > MOST {
        let length = end - start;
        return Err(format!("pixel data of {length} bytes, expected {expected}, and at most {MOST}"));
    }
    read(&mut out, end)?;
    Ok(out)
}
