//! The kernels of a core against the reference, on small layers of all shapes: what `targets/kernel-count` runs before it counts.

use super::{Board, qemu};
use crate::{Result, images, stage::Runner};
use std::time::Instant;

const PACKAGE: &str = "niello-kernel-count";

/// Boards, and the kernels that must be in the program: without DSP instructions it would compare the reference with itself.
const CORES: &[(&str, &str)] = &[
    ("cortex-m3", "portable"),
    ("cortex-m4", "dsp"),
    ("cortex-m7", "dsp"),
    ("cortex-m33", "dsp"),
    ("cortex-m55", "mve"),
];

/// How each kind of layers ends that is as it should be: `convolution: 150 layers equal to the reference's`.
const EQUAL: &str = " layers equal to the reference's";

/// Builds and runs it, on boards that have such a program.
pub(super) fn check(runner: &mut Runner, board: &Board) -> Result {
    let Some((name, isa)) = CORES.iter().find(|(name, _)| *name == board.name) else { return Ok(()) };
    runner.run(images::build(PACKAGE, board.target, "")?)?;
    let start = Instant::now();
    let output = qemu::bytes(board.machine, &images::image(PACKAGE, board.target))?;
    let layers = equal_layers(&String::from_utf8_lossy(&output.bytes), isa, output.ok)
        .map_err(|why| format!("{PACKAGE} on {name}: {why}"))?;
    runner.note(format!("{name}: {layers} layers of kernels `{isa}` equal"), start.elapsed());
    Ok(())
}

/// How many layers were compared.
fn equal_layers(log: &str, isa: &str, ok: bool) -> Result<usize> {
    let first = log.lines().next().unwrap_or("nothing");
    if first.strip_prefix("kernels ") != Some(isa) {
        return Err(format!("expected the kernels `{isa}`, it printed: {first}"));
    }
    if !ok {
        let last = log.lines().last().unwrap_or("nothing");
        return Err(format!("it ended with an error; last printed: {last}"));
    }
    let kinds =
        log.lines().filter_map(|line| line.strip_suffix(EQUAL)?.rsplit_once(": ")?.1.parse::<usize>().ok());
    match kinds.sum() {
        0 => Err("it compared nothing".into()),
        layers => Ok(layers),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "kernels dsp\nconvolution: 150 layers equal to the reference's\naddition: 20 layers equal to \
                       the reference's\npacking cortex-m-dsp\n";

    #[test]
    fn equal_layers_are_counted() {
        assert_eq!(equal_layers(LOG, "dsp", true), Ok(170));
    }

    #[test]
    fn what_proves_nothing_is_refused() {
        for (log, ok, word) in [
            (LOG, false, "ended with an error"),
            ("kernels dsp\nconvolution 7 is not as the reference's\n", false, "convolution 7 is not"),
            (
                "kernels portable\nconvolution: 150 layers equal to the reference's\n",
                true,
                "kernels portable",
            ),
            ("kernels dsp\n", true, "compared nothing"),
            ("", true, "nothing"),
        ] {
            let why = equal_layers(log, "dsp", ok).expect_err(log);
            assert!(why.contains(word), "{why}");
        }
    }
}
