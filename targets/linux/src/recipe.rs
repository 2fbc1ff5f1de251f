//! Anam-Net with the bundled weights, for build scripts.

use niello_codegen::{Config, Error, Result, recipe::Recipe};
use niello_models::Registry;
use std::{env, path::Path};

/// Side of the input on the board.
const BOARD_SIDE: usize = 512;
/// Elsewhere, where tests of this crate run.
const OTHER_SIDE: usize = 64;

/// Writes `anam_net.rs` and `anam_net.bin` to `OUT_DIR`, packed for the machine that is built for. The side is `NIELLO_SIDE`, else 512 for
/// aarch64 and 64 for any other machine.
///
/// # Errors
/// A side that is no multiple of 16.
pub fn compile() -> Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=NIELLO_SIDE");
    let aarch64 = env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "aarch64");
    let side = match env::var("NIELLO_SIDE") {
        Ok(text) => parse(&text)?,
        Err(_) if aarch64 => BOARD_SIDE,
        Err(_) => OTHER_SIDE,
    };
    Config::new(&Registry).compile_recipe(&recipe(side), "anam_net")?;
    Ok(())
}

/// Anam-Net for slices of `side` by `side`; slices of another size are stretched. The two usual sides have a calibration lock, as other
/// sides of one's own should.
fn recipe(side: usize) -> Recipe {
    let recipe = Recipe::new("anam_net")
        .classes(["background", "abnormal lung", "normal lung"])
        .input_size(side, side)
        .preprocess("window:-600,1500")
        .resize("stretch");
    match side {
        BOARD_SIDE | OTHER_SIDE => {
            recipe.lock(Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("anam_net_{side}.lock")))
        }
        _ => recipe,
    }
}

fn parse(text: &str) -> Result<usize> {
    match text.parse() {
        Ok(side) if side > 0 && side % 16 == 0 => Ok(side),
        _ => Err(Error::Invalid(format!("NIELLO_SIDE={text}: expected a multiple of 16"))),
    }
}
