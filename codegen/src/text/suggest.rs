//! "Did you mean": the names nearest to a misspelt one.

/// The names nearest to `name`, best first, at most three.
///
/// A candidate that is `name` behind a prefix (`module.conv1.weight` for `conv1.weight`) or without one comes first; then
/// those within half of `name`'s length by edit distance, where a neighbour in number (`conv2` for `conv1`) is another
/// layer rather than a misspelling and comes later.
///
/// ```
/// # use niello_codegen::text::near_matches;
/// assert_eq!(near_matches("conv1.wieght", ["conv1.weight", "fc.bias"]), ["conv1.weight"]);
/// ```
pub fn near_matches<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let limit = name.len().max(6) / 2;
    let mut scored: Vec<(usize, &str)> = candidates
        .into_iter()
        .filter_map(|candidate| {
            if prefixed(name, candidate) || prefixed(candidate, name) {
                return Some((0, candidate));
            }
            // A name begun and not finished.
            if name.len() >= 3 && candidate.starts_with(name) {
                return Some((1, candidate));
            }
            // The lengths' difference bounds the distance from below.
            let near = name.len().abs_diff(candidate.len()) <= limit;
            let distance = if near { strsim::levenshtein(name, candidate) } else { usize::MAX };
            let other_number = 2 * !digits(name).eq(digits(candidate)) as usize;
            (distance <= limit).then(|| (distance + other_number, candidate))
        })
        .collect();
    scored.sort();
    scored.into_iter().take(3).map(|(_, candidate)| candidate).collect()
}

fn digits(name: &str) -> impl Iterator<Item = u8> {
    name.bytes().filter(u8::is_ascii_digit)
}

/// Whether `long` is `PREFIX.short`.
fn prefixed(short: &str, long: &str) -> bool {
    long.strip_suffix(short).is_some_and(|prefix| prefix.ends_with('.')) && !short.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_name_comes_first_and_far_ones_are_left_out() {
        let names = ["conv2_block.0.weight", "conv1_block.0.weight", "conv1_block.0.bias", "fc"];
        assert_eq!(near_matches("conv1_block.0.wieght", names)[0], "conv1_block.0.weight");
        assert_eq!(near_matches("conv2_block.0.wieght", names)[..2], [names[0], names[1]]);
        assert!(near_matches("softmax_temperature", names).is_empty());
        assert_eq!(near_matches("anam", ["enet", "anam_net"]), ["anam_net", "enet"]);
        assert!(near_matches("", names).len() <= 1);
    }

    #[test]
    fn wrapper_prefixes_are_seen_through() {
        assert_eq!(near_matches("fc.bias", ["module.fc.bias", "fc2.bias"]), ["module.fc.bias", "fc2.bias"]);
        assert_eq!(near_matches("net.encoder.fc.bias", ["fc.bias"]), ["fc.bias"]);
    }
}
