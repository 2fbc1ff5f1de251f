//! Turns a recipe of `tests/bits` into static Rust, and its golden file's cases into constants.
//!
//! | variable | says | default |
//! |---|---|---|
//! | `NIELLO_MODEL` | the recipe's stem | `anam_net_tiny` |
//! | `NIELLO_ROUNDING` | `tflite-double` or `single` | `tflite-double` |
//! | `NIELLO_MACHINE` | the board, `boards/NAME.toml` | `microbit` |
//! | `NIELLO_DUMP` | a layer whose bytes are printed | none |
//! | `NIELLO_FLIP` | a layer with one bit of one weight turned over, to see that the checks notice | none |
//! | `NIELLO_SHARED` | where pictures of trained models lie | `../shared` beside the checkout |

use niello_codegen::{
    Config, Error, Result,
    board::Board,
    emit::element,
    golden::{Golden, Source},
    pipeline::Build,
    recipe::{Recipe, Target},
};
use std::{
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

fn main() {
    if let Err(error) = run() {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn run() -> Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let (model, rounding) =
        (variable("NIELLO_MODEL", "anam_net_tiny"), variable("NIELLO_ROUNDING", "tflite-double"));
    let machine = variable("NIELLO_MACHINE", "microbit");

    let board = env::current_dir().map_err(Error::io("cannot find", "."))?;
    let board = board.join(format!("boards/{machine}.toml"));
    let memory = Board::parse(&board.to_string_lossy(), &read(&board)?)?;
    write(&out.join("memory.x"), memory.memory_x()?.as_bytes())?;
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rustc-link-arg-bins=--nmagic");

    let bits = Path::new("../../tests/bits");
    let path = bits.join(format!("{model}.toml"));
    println!("cargo::rerun-if-changed={}", path.display());
    let mut recipe = Recipe::from_file(&path)?;
    recipe.format.rounding = rounding.parse()?;
    // Packing and places are the board's.
    recipe.target = Target { board: Some(board.to_string_lossy().into_owned()), ..Target::default() };
    let build = Config::new(&niello_models::Registry)
        .file_name("model")
        .layer_checks(true)
        .compile_recipe(&recipe, "model")?;

    if let Ok(layer) = variable("NIELLO_FLIP", "").parse() {
        flip(&out, layer)?;
    }

    println!("cargo::rustc-check-cfg=cfg(placed)");
    if build.recipe.target.arena_section.is_some() {
        println!("cargo::rustc-cfg=placed");
    }
    let golden: Golden = read(&bits.join(format!("{model}.{rounding}.golden")))?.parse()?;
    write(&out.join("cases.rs"), cases(&build, &golden, &rounding, &out)?.as_bytes())
}

/// Turns over a bit of the first weight of a layer, as a worn flash might.
fn flip(out: &Path, layer: usize) -> Result<()> {
    const WEIGHTS: &str = "weights: constants::i8s(&WEIGHTS, ";
    let (source, blob) = (out.join("model.rs"), out.join("model.bin"));
    let text = fs::read_to_string(&source).map_err(Error::io("cannot read", &source))?;
    let own = text.split_once(&format!("static L{layer:02}_")).map_or("", |(_, own)| own);
    let own = own.split_once(WEIGHTS).map_or("", |(_, digits)| digits);
    let digits: String = own.chars().take_while(|c| *c != ',').filter(char::is_ascii_digit).collect();
    let offset: usize =
        digits.parse().map_err(|_| Error::Invalid(format!("NIELLO_FLIP: layer {layer} has no weights")))?;
    let mut bytes = fs::read(&blob).map_err(Error::io("cannot read", &blob))?;
    bytes[offset] ^= 0x40;
    write(&blob, &bytes)
}

fn variable(name: &str, default: &str) -> String {
    println!("cargo::rerun-if-env-changed={name}");
    env::var(name).unwrap_or_else(|_| default.into())
}

fn read(path: &Path) -> Result<String> {
    println!("cargo::rerun-if-changed={}", path.display());
    fs::read_to_string(path).map_err(Error::io("cannot read", path))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).map_err(Error::io("cannot write", path))
}

/// What the program runs: seeds, and codes of pictures, which stay in flash.
fn cases(build: &Build, golden: &Golden, rounding: &str, out: &Path) -> Result<String> {
    let ty = niello_codegen::emit::type_name(&build.program);
    let program = &build.program;
    let types = [program.inputs[0], program.outputs[0]].map(|id| element(program.tensor(id).format));
    let paths = types.map(|ty| if ty == "F16" { "niello::F16" } else { ty });
    let mut text = format!("/// The model.\npub type Net = crate::model::{ty};\n");
    let [input, output] = paths;
    let _ = writeln!(text, "/// An element of the input.\npub type Input = {input};");
    let _ = writeln!(text, "/// An element of the output.\npub type Output = {output};");
    let _ =
        writeln!(text, "/// The rounding, in a recipe's words.\npub const ROUNDING: &str = {rounding:?};");
    let dump = variable("NIELLO_DUMP", "");
    let dump = dump.parse::<usize>().map_or("None".into(), |index| format!("Some({index})"));
    let _ = writeln!(text, "/// The layer whose bytes are printed.\npub const DUMP: Option<usize> = {dump};");
    let mut seeds = String::new();
    let mut pictures = String::new();
    for (i, case) in golden.cases.iter().enumerate() {
        let name = case.source.name();
        match &case.source {
            Source::Seed(seed) => {
                let _ = write!(seeds, "({name:?}, {seed}), ");
            }
            Source::File(file) => {
                let picture = niello_imaging::load(find(file)?)?;
                let bytes: Vec<u8> = build.input_codes(&picture)?.iter().map(|c| *c as u8).collect();
                write(&out.join(format!("case{i}.bin")), &bytes)?;
                let (len, accessor) = (bytes.len(), types[0].to_lowercase() + "s");
                let _ = writeln!(
                    text,
                    "static CASE{i}: niello::Aligned<{len}> =\n    niello::Aligned(*include_bytes!(concat!(env!(\"OUT_DIR\"), \"/case{i}.bin\")));"
                );
                let _ = write!(
                    pictures,
                    "({name:?}, niello::constants::{accessor}(&CASE{i}, 0, crate::model::INPUT_LEN)), "
                );
            }
        }
    }
    let len = "crate::model::INPUT_LEN";
    let _ =
        writeln!(text, "/// Inputs that follow from a seed.\npub static SEEDS: &[(&str, u64)] = &[{seeds}];");
    let _ = writeln!(
        text,
        "/// Inputs that lie in flash.\npub static PICTURES: &[(&str, &[Input])] = &[{pictures}];"
    );
    let buffer = if seeds.is_empty() { "0" } else { len };
    let _ = writeln!(
        text,
        "/// Elements of the buffer for inputs made on the board.\npub const BUFFER: usize = {buffer};"
    );
    Ok(text)
}

/// A picture of the shared data, by its file name.
fn find(file: &str) -> Result<PathBuf> {
    let shared = PathBuf::from(variable("NIELLO_SHARED", "../../../shared"));
    let folder = shared.join("data/ct/covid_ct/val/COVID");
    let path = folder.join(file);
    if path.is_file() {
        Ok(path)
    } else {
        Err(Error::file(path, "expected the picture of a golden case, found nothing there"))
    }
}
