//! The output of a board, compared with the golden file.

use std::fmt;

/// The results of one inference.
#[derive(Debug, Default, PartialEq)]
struct Case {
    name: String,
    layers: Vec<Layer>,
    outputs: Vec<String>,
}

#[derive(Debug, PartialEq)]
struct Layer {
    index: usize,
    name: String,
    shape: String,
    checksum: String,
}

/// The first thing that is not as recorded.
#[derive(Debug, PartialEq)]
pub(crate) struct Difference {
    /// As the golden file names it.
    pub(crate) case: String,
    /// The layer, if a layer's bytes differ.
    pub(crate) layer: Option<Place>,
    what: String,
}

/// A layer of a program.
#[derive(Debug, PartialEq)]
pub(crate) struct Place {
    /// In the program that ran.
    pub(crate) index: usize,
    /// As the golden file has it.
    pub(crate) name: String,
    /// `HxWxC`.
    pub(crate) shape: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "case {}: {}", self.case, self.what)
    }
}

/// The cases in a golden file or a log; other lines are skipped.
fn cases(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = vec![];
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match (&words[..], cases.last_mut()) {
            (["case", name], _) => cases.push(Case { name: (*name).into(), ..Default::default() }),
            (["layer", index, name, shape, checksum], Some(case)) => {
                let Ok(index) = index.parse() else { continue };
                let [name, shape, checksum] = [name, shape, checksum].map(|word| word.to_string());
                case.layers.push(Layer { index, name, shape, checksum });
            }
            (["output", _, checksum], Some(case)) => case.outputs.push(checksum.to_string()),
            _ => {}
        }
    }
    cases
}

/// Compares each case that the golden file has: the number of layers that are equal.
///
/// A log may show more layers than were recorded (concatenations), never fewer: where one step computes several layers, its
/// name says which, `a+b`, and its result is the last one's.
///
/// # Errors
/// The first difference.
pub(crate) fn compare(golden: &str, log: &str) -> Result<usize, Difference> {
    let (golden, log) = (cases(golden), cases(log));
    let mut equal = 0;
    for case in &golden {
        let differs = |layer, what| Difference { case: case.name.clone(), layer, what };
        let Some(found) = log.iter().find(|c| c.name == case.name) else {
            return Err(differs(None, "did not run".into()));
        };
        for layer in &case.layers {
            let name = &layer.name;
            let shown = |l: &&Layer| l.name.rsplit('+').next() == Some(name);
            let hidden = |l: &Layer| l.name.rsplit('+').skip(1).any(|part| part == name);
            match found.layers.iter().find(shown) {
                None if found.layers.iter().any(hidden) => {}
                None => return Err(differs(None, format!("layer {} `{name}` did not run", layer.index))),
                Some(l) if l.shape != layer.shape || l.checksum != layer.checksum => {
                    let what = format!(
                        "layer {} `{name}`: {} {}, expected {} {}",
                        l.index, l.shape, l.checksum, layer.shape, layer.checksum
                    );
                    let place = Place { index: l.index, name: name.clone(), shape: l.shape.clone() };
                    return Err(differs(Some(place), what));
                }
                Some(_) => equal += 1,
            }
        }
        if found.outputs != case.outputs {
            return Err(differs(None, format!("output {:?}, expected {:?}", found.outputs, case.outputs)));
        }
    }
    if equal == 0 {
        let (case, what) = ("-".into(), "the golden file has no layers".into());
        return Err(Difference { case, layer: None, what });
    }
    Ok(equal)
}

/// The first word behind `key` in a line that begins with it.
pub(crate) fn value<'t>(log: &'t str, key: &str) -> Option<&'t str> {
    log.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')).map(str::trim)
}

/// The bytes that a case printed of one layer: lines `dump HEX`.
pub(crate) fn dump(log: &str, case: &str) -> Vec<u8> {
    let heading = format!("case {case}");
    let own = log.lines().skip_while(|line| line.trim_end() != heading).skip(1);
    let own = own.take_while(|line| !line.starts_with("case "));
    let digits: Vec<u8> =
        own.filter_map(|line| line.strip_prefix("dump ")).flat_map(|hex| hex.trim().bytes()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks(2).map_while(byte).collect()
}

/// The first element of `[h, w, c]` that differs, in words.
pub(crate) fn element(found: &[u8], expected: &[u8], shape: &str) -> String {
    let sides: Vec<usize> = shape.split('x').filter_map(|side| side.parse().ok()).collect();
    let differs = found.iter().zip(expected).position(|(a, b)| a != b);
    match (differs, &sides[..]) {
        (Some(at), [_, w, c]) => format!(
            "first at [{}, {}, {}]: {}, expected {}",
            at / (w * c),
            at / c % w,
            at % c,
            found[at] as i8,
            expected[at] as i8
        ),
        _ if found.len() != expected.len() => {
            format!("{} bytes, expected {}", found.len(), expected.len())
        }
        _ => "a second run has the expected bytes".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = "# niello golden 1\nnetwork n\n\ncase seed:1\ninput 0 01\nlayer 0 conv 2x2x3 aa\nrows 1 2\n\
                          layer 2 relu 2x2x3 bb\nrows 3 4\noutput 0 cc\n\ncase seed:2\nlayer 0 conv 2x2x3 dd\noutput 0 ee\n";
    const LOG: &str = "model n\ncase seed:1\nlayer 0 conv 2x2x3 aa\nlayer 1 cat 2x2x6 00\nlayer 2 relu 2x2x3 bb\n\
                       output 0 cc\ncase seed:2\nlayer 0 conv 2x2x3 dd\noutput 0 ee\nstack 512\n";

    #[test]
    fn equal_layers_are_counted_and_concatenations_skipped() {
        assert_eq!(compare(GOLDEN, LOG), Ok(3));
        assert_eq!(value(LOG, "stack"), Some("512"));
    }

    #[test]
    fn a_step_of_several_layers_shows_the_last() {
        let both = "layer 0 conv 2x2x3 aa\nlayer 1 cat 2x2x6 00\nlayer 2 relu 2x2x3 bb\n";
        let fused = |sum: &str| LOG.replace(both, &format!("layer 0 conv+relu 2x2x3 {sum}\n"));
        assert_eq!(compare(GOLDEN, &fused("bb")), Ok(2));
        let difference = compare(GOLDEN, &fused("bc")).expect_err("another result");
        assert_eq!(difference.layer.map(|l| (l.index, l.name)), Some((0, "relu".into())));
    }

    #[test]
    fn the_first_difference_is_named() {
        // The text in the log, the case, the layer, a word of the message.
        let table = [
            ("conv 2x2x3 aa", "conv 2x2x3 ab", "seed:1", Some(0), "layer 0 `conv`"),
            ("relu 2x2x3 bb", "relu 2x2x3 bc", "seed:1", Some(2), "layer 2 `relu`"),
            ("relu 2x2x3 bb", "relu 2x3x2 bb", "seed:1", Some(2), "expected 2x2x3"),
            ("conv 2x2x3 dd", "conv 2x2x3 de", "seed:2", Some(0), "layer 0 `conv`"),
            ("output 0 ee", "output 0 ef", "seed:2", None, "output"),
            ("layer 2 relu 2x2x3 bb\n", "", "seed:1", None, "did not run"),
            ("case seed:2", "case seed:3", "seed:2", None, "did not run"),
        ];
        for (from, to, case, layer, word) in table {
            let difference = compare(GOLDEN, &LOG.replace(from, to)).expect_err(to);
            assert_eq!(difference.case, case, "{to}");
            assert_eq!(difference.layer.as_ref().map(|l| l.index), layer, "{to}");
            assert!(difference.to_string().contains(word), "{difference}");
        }
    }

    #[test]
    fn a_golden_file_without_layers_proves_nothing() {
        assert!(compare("network n\n", LOG).is_err());
    }

    #[test]
    fn the_first_element_is_named() {
        let log = "case seed:1\ndump 000102\ndump 0304ff\noutput 0 cc\ncase seed:2\ndump 07\n";
        let found = dump(log, "seed:1");
        assert_eq!(found, [0, 1, 2, 3, 4, 255]);
        assert_eq!(dump(log, "seed:2"), [7]);
        assert_eq!(element(&found, &[0, 1, 2, 3, 4, 5], "1x2x3"), "first at [0, 1, 2]: -1, expected 5");
        assert_eq!(element(&found, &[0; 3], "1x1x3"), "first at [0, 0, 1]: 1, expected 0");
    }
}
