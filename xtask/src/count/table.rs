//! The checked-in counts, `benches/counts.txt`: what an inference must not exceed by more than one per cent.

use super::measured::{Layer, Measured};
use crate::{Result, stage::Runner};
use std::{fmt::Write as _, fs, time::Instant};

const PATH: &str = "benches/counts.txt";

const HEADER: &str = "# Executed instructions of one inference, as a whole and of each layer: layer NAME KIND MACS COUNT.
# `cargo xtask count --check` compares, `cargo xtask count --update` (with --all: every case) writes. See docs/performance.md.
";

/// Growth beyond this fails, in per cent.
const TOLERANCE: u64 = 1;

/// Layers below this part of their network are watched through its total only: a few instructions around a loop are no news.
const SMALL: f64 = 1.0 / 1000.0;

/// One network on one core.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) target: String,
    pub(super) recipe: String,
    pub(super) measured: Measured,
}

#[derive(Debug, Default, PartialEq)]
pub(super) struct Table(Vec<Entry>);

impl Table {
    /// The checked-in table.
    ///
    /// # Errors
    /// A file that cannot be read, or that is no table.
    pub(super) fn read() -> Result<Self> {
        Self::parse(&fs::read_to_string(PATH).map_err(|e| format!("{PATH}: {e}"))?)
    }

    fn parse(text: &str) -> Result<Self> {
        let mut entries: Vec<Entry> = vec![];
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let ["case", target, recipe] = words[..] {
                let (target, recipe, measured) = (target.into(), recipe.into(), Measured::default());
                entries.push(Entry { target, recipe, measured });
                continue;
            }
            let known = match entries.last_mut() {
                Some(entry) => entry.measured.read(line, || None)?,
                None => false,
            };
            if !known {
                return Err(format!("{PATH}: not understood: `{line}`"));
            }
        }
        Ok(Self(entries))
    }

    /// Puts measured entries in the place of old ones, new ones behind all others.
    pub(super) fn replace(&mut self, found: Vec<Entry>) {
        for entry in found {
            match self.0.iter_mut().find(|old| old.is_case_of(&entry)) {
                Some(old) => *old = entry,
                None => self.0.push(entry),
            }
        }
    }

    /// Writes the checked-in table.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(super) fn write(&self) -> Result {
        fs::write(PATH, self.text()).map_err(|e| format!("{PATH}: {e}"))
    }

    fn text(&self) -> String {
        let mut text = HEADER.to_string();
        for Entry { target, recipe, measured } in &self.0 {
            let Measured { compiler, isa, total, layers } = measured;
            // Writing to a string cannot fail.
            let _ = writeln!(text, "\ncase {target} {recipe}\ncompiler {compiler}\nisa {isa}\ntotal {total}");
            for Layer { name, kind, macs, count } in layers {
                let _ = writeln!(text, "layer {name} {kind} {macs} {count}");
            }
        }
        text
    }

    /// Compares; what has shrunk, and what another compiler built, is only reported.
    ///
    /// # Errors
    /// Everything that has grown, by name; a case that is not in the table.
    pub(super) fn check(&self, runner: &mut Runner, found: &[Entry]) -> Result {
        let start = Instant::now();
        let mut grown = String::new();
        for entry in found {
            let Some(old) = self.0.iter().find(|old| old.is_case_of(entry)) else {
                return Err(format!(
                    "{PATH} has no case {} {}; add it with --update",
                    entry.target, entry.recipe
                ));
            };
            let changes = entry.changes(&old.measured);
            if old.measured.compiler != entry.measured.compiler {
                let (old, new) = (&old.measured.compiler, &entry.measured.compiler);
                runner.mention(format!(
                    "growth on {}: counted with {old}, here is {new}{}",
                    entry.target,
                    changes.grown + &changes.shrunk
                ));
                continue;
            }
            print!("{}", changes.shrunk);
            grown += &changes.grown;
        }
        if grown.is_empty() {
            runner.note(format!("{} counts within {PATH}", found.len()), start.elapsed());
            return Ok(());
        }
        Err(format!(
            "more instructions than {PATH} has:\n{grown}\nif that cannot be helped, run\n\n    cargo xtask count --update\n"
        ))
    }
}

/// The differences beyond the tolerance, one line each.
#[derive(Debug, Default, PartialEq)]
struct Changes {
    grown: String,
    shrunk: String,
}

impl Entry {
    fn is_case_of(&self, other: &Self) -> bool {
        (&self.target, &self.recipe) == (&other.target, &other.recipe)
    }

    fn changes(&self, old: &Measured) -> Changes {
        let mut changes = Changes::default();
        let mut compare = |what: &str, before: u64, now: u64| {
            if 100 * now.abs_diff(before) > TOLERANCE * before {
                let percent = 100.0 * (now as f64 / before as f64 - 1.0);
                let to = if now > before { &mut changes.grown } else { &mut changes.shrunk };
                let (target, recipe) = (&self.target, &self.recipe);
                *to += &format!("  {target}, {recipe}, {what}: {before} to {now}, {percent:+.1} %\n");
            }
        };
        let (old_total, now) = (old.total, &self.measured);
        compare("the whole network", old_total, now.total);
        for layer in &now.layers {
            let Some(before) = old.layers.iter().find(|before| before.name == layer.name) else {
                continue;
            };
            if layer.count as f64 > SMALL * now.total as f64 {
                compare(&format!("layer {}", layer.name), before.count, layer.count);
            }
        }
        changes
    }

    /// For `niello tune`: costs as it reads them from runners.
    pub(super) fn costs(&self) -> String {
        let Measured { total, layers, .. } = &self.measured;
        let lines = layers.iter().map(|Layer { name, count, .. }| format!("layer {name} {count}\n"));
        lines.chain([format!("total {total}\n")]).collect()
    }

    /// For people: one line, or a table of layers.
    pub(super) fn show(&self, layers: bool) -> String {
        let Self { target, recipe, measured } = self;
        let (total, macs) = (measured.total, measured.macs());
        let mut text = format!(
            "{target}, {recipe} ({}): {:.2} M instructions, {:.2} M multiply-accumulates, {} per multiply-accumulate\n",
            measured.isa,
            total as f64 / 1e6,
            macs as f64 / 1e6,
            ratio(total, macs)
        );
        if !layers {
            return text;
        }
        let width = measured.layers.iter().map(|layer| layer.name.len()).max().unwrap_or(0).max(5);
        let _ = writeln!(
            text,
            "  {:<width$}  {:<18}{:>14}{:>15}{:>9}{:>9}",
            "layer", "kind", "MACs", "instructions", "per MAC", "share"
        );
        for Layer { name, kind, macs, count } in &measured.layers {
            let share = 100.0 * *count as f64 / total as f64;
            let per_mac = ratio(*count, *macs);
            let _ =
                writeln!(text, "  {name:<width$}  {kind:<18}{macs:>14}{count:>15}{per_mac:>9}{share:>7.1} %");
        }
        text
    }
}

fn ratio(count: u64, macs: u64) -> String {
    if macs == 0 { "-".into() } else { format!("{:.3}", count as f64 / macs as f64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "case m4 r.toml\ncompiler rustc 1.2.3\nisa dsp\ntotal 100000\nlayer a Conv2d 7 90000\nlayer b Softmax 0 90\n";

    fn entry(change: impl FnOnce(&mut Measured)) -> Entry {
        let mut entry = Table::parse(TEXT).unwrap().0.remove(0);
        change(&mut entry.measured);
        entry
    }

    #[test]
    fn what_is_written_is_read() {
        let mut table = Table::parse(TEXT).unwrap();
        assert_eq!(Table::parse(&table.text()), Ok(Table::parse(TEXT).unwrap()));
        table.replace(vec![entry(|m| m.total = 5), Entry { target: "m7".into(), ..entry(|_| ()) }]);
        assert_eq!(table.0.iter().map(|e| e.measured.total).collect::<Vec<_>>(), [5, 100000]);
        assert!(Table::parse("layer a Conv2d 7 90000\n").is_err(), "a layer of no case");
        assert!(Table::parse("case m4 r.toml\nlayer a Conv2d 7\n").is_err(), "a layer without a count");
    }

    #[test]
    fn runners_print_a_line_for_each_layer() {
        assert_eq!(entry(|_| ()).costs(), "layer a 90000\nlayer b 90\ntotal 100000\n");
    }

    #[test]
    fn growth_beyond_one_per_cent_fails_and_names_the_layer() {
        // The change, and a word of the error or none.
        type Change = fn(&mut Measured);
        let table: [(Change, Option<&str>); 6] = [
            (|_| (), None),
            (|m| m.layers[0].count = 90_900, None),
            (|m| m.layers[0].count = 90_901, Some("layer a: 90000 to 90901, +1.0 %")),
            (|m| m.total = 101_001, Some("the whole network")),
            // Shrunk; too small to count.
            (|m| m.layers[0].count = 1000, None),
            (|m| m.layers[1].count = 99, None),
        ];
        let old = Table::parse(TEXT).unwrap();
        for (i, (change, word)) in table.into_iter().enumerate() {
            let outcome = old.check(&mut Runner::new("test"), &[entry(change)]);
            match word {
                None => assert_eq!(outcome, Ok(()), "{i}"),
                Some(word) => assert!(outcome.clone().is_err_and(|e| e.contains(word)), "{i}: {outcome:?}"),
            }
        }
    }

    #[test]
    fn another_compilers_counts_are_not_compared_and_a_new_case_is_refused() {
        let old = Table::parse(TEXT).unwrap();
        let check = |e: Entry| old.check(&mut Runner::new("test"), &[e]);
        assert_eq!(check(entry(|m| (m.total, m.compiler) = (200_000, "rustc 1.2.4".into()))), Ok(()));
        assert!(check(Entry { target: "m7".into(), ..entry(|_| ()) }).is_err());
    }
}
