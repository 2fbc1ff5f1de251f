//! The printed report.

use crate::Segmented;
use niello::Model;
use niello::kernels::Isa;
use niello_imaging::metrics::abnormal_share;
use serde_json::{Map, Value, json};

/// Shares and times, for people.
pub(crate) fn print<N: Model + Default>(slices: &[Segmented], threads: usize, seconds: f64) {
    for slice in slices {
        let shares: Vec<String> = N::METADATA
            .classes
            .iter()
            .enumerate()
            .map(|(c, name)| format!("{name} {:.2} %", 100.0 * slice.share(c)))
            .collect();
        let ms = slice.time.as_secs_f64() * 1e3;
        println!("{}: {} ({ms:.0} ms)", slice.image.display(), shares.join(", "));
        if let Some(percent) = abnormal_percent(slice) {
            println!("  abnormal share of the lung {percent:.2} %");
        }
    }
    println!(
        "{} slices in {seconds:.2} s, {threads} at a time; packed for {}, run on {}; arena {:.1} MB per thread",
        slices.len(),
        N::METADATA.target,
        Isa::detect().name(),
        N::ARENA_BYTES as f64 / 1e6
    );
    println!("Research software: not a medical device, not for diagnosis.");
}

/// The same for scripts.
pub(crate) fn json<N: Model + Default>(slices: &[Segmented], threads: usize, seconds: f64) -> Value {
    let slices: Vec<Value> = slices
        .iter()
        .map(|slice| {
            let classes = N::METADATA.classes.iter().enumerate();
            let shares: Map<String, Value> =
                classes.map(|(c, name)| (name.to_string(), json!(slice.share(c)))).collect();
            json!({
                "image": slice.image,
                "shares": shares,
                "abnormal_percent": abnormal_percent(slice),
                "ms": slice.time.as_secs_f64() * 1e3,
            })
        })
        .collect();
    json!({
        "slices": slices,
        "seconds": seconds,
        "threads": threads,
        "packing": N::METADATA.target,
        "isa": Isa::detect().name(),
        "arena_bytes": N::ARENA_BYTES,
    })
}

/// Percent of abnormal lung: classes are background, abnormal, normal.
fn abnormal_percent(slice: &Segmented) -> Option<f64> {
    let [_, abnormal, normal] = slice.counts[..] else { return None };
    abnormal_share(abnormal, normal).map(|share| 100.0 * share)
}
