//! The output of a program, joined with the counts at its marks.

use crate::Result;

/// Instructions of one inference.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Measured {
    /// Of the program: another one gives other counts.
    pub(super) compiler: String,
    /// The instruction set that its kernels chose.
    pub(super) isa: String,
    /// Of an inference without marks.
    pub(super) total: u64,
    /// Of an inference with marks, whose sum is a little more.
    pub(super) layers: Vec<Layer>,
}

/// Instructions of one layer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layer {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) macs: u64,
    pub(super) count: u64,
}

impl Measured {
    /// From the counts so far at each mark, one to a line.
    ///
    /// # Errors
    /// Too few or too many marks.
    pub(super) fn from_marks(printed: &str, marks: &str) -> Result<Self> {
        let marks: Vec<u64> = marks.lines().map_while(|line| line.parse().ok()).collect();
        let starts = std::iter::once(0).chain(marks.iter().copied());
        let mut parts: Vec<u64> = marks.iter().zip(starts).map(|(end, start)| end - start).collect();
        // The last one stands at the program's end.
        parts.pop();
        Self::from_parts(printed, &parts)
    }

    /// From the counts between marks: a first inference with what comes before it, one without marks, then layers.
    ///
    /// # Errors
    /// Too few or too many counts.
    pub(super) fn from_parts(printed: &str, parts: &[u64]) -> Result<Self> {
        let [_, total, counts @ ..] = parts else {
            return Err(format!("the program made {} marks; it printed\n{printed}", parts.len()));
        };
        let mut measured = Self { total: *total, ..Self::default() };
        let mut counts = counts.iter();
        for line in printed.lines() {
            measured.read(line, || counts.next().copied())?;
        }
        match counts.len() {
            0 => Ok(measured),
            more => Err(format!("the program made {more} marks more than it has layers")),
        }
    }

    /// One line of a program, or of the table of counts, where the count stands in the line.
    ///
    /// # Errors
    /// A layer without a count.
    pub(super) fn read(&mut self, line: &str, next: impl FnOnce() -> Option<u64>) -> Result<bool> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["compiler", ..] => self.compiler = words[1..].join(" "),
            ["isa", isa] => self.isa = isa.into(),
            ["total", total] => self.total = total.parse().map_err(|_| format!("no number: `{line}`"))?,
            ["layer", name, kind, macs, ref count @ ..] => {
                let macs = macs.parse().map_err(|_| format!("no number: `{line}`"))?;
                let count = count.first().map_or_else(next, |word| word.parse().ok());
                let count = count.ok_or_else(|| format!("no count for `{line}`"))?;
                self.layers.push(Layer { name: name.into(), kind: kind.into(), macs, count });
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Multiply-accumulates of the network.
    pub(super) fn macs(&self) -> u64 {
        self.layers.iter().map(|layer| layer.macs).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str =
        "compiler rustc 1.2.3 (abc)\nisa neon\nlayer a Conv2d 100\nlayer b+c Add 0\noutput 00ff\n";

    #[test]
    fn layers_lie_between_marks() {
        let measured = Measured::from_marks(PRINTED, "1000\n1500\n1900\n2010\n9999\n").unwrap();
        assert_eq!((measured.total, measured.macs()), (500, 100));
        assert_eq!((&*measured.compiler, &*measured.isa), ("rustc 1.2.3 (abc)", "neon"));
        let layers: Vec<(&str, u64)> = measured.layers.iter().map(|l| (&*l.name, l.count)).collect();
        assert_eq!(layers, [("a", 400), ("b+c", 110)]);
    }

    #[test]
    fn marks_that_do_not_fit_the_layers_are_refused() {
        for marks in ["", "1000\n", "1000\n1500\n1900\n9999\n", "1000\n1500\n1900\n2010\n2020\n9999\n"] {
            assert!(Measured::from_marks(PRINTED, marks).is_err(), "{marks:?}");
        }
    }
}
