//! The bit test can fail: a wrong rounding constant, weight or offset in a generated crate makes it fail, and it names a
//! layer.

use niello_codegen::{
    check::golden::{Difference, Golden},
    emit::{EmitOptions, emit, write_crate},
    pipeline::build,
    program::Program,
    recipe::Recipe,
};
use niello_models::Registry;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const MODEL: &str = "anam_net_tiny";

/// A folder with copies of everything that a device runs: kernels, runtime, generated crate, and a program around it.
struct Device {
    room: tempfile::TempDir,
    program: Program,
}

impl Device {
    fn new() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let room = tempfile::tempdir().expect("a temporary folder");
        for folder in ["kernels", "runtime", "docs"] {
            copy(&root.join(folder), &room.path().join(folder));
        }
        let recipe = Recipe::from_file(root.join(format!("tests/bits/{MODEL}.toml"))).expect("a recipe");
        let program = build(&recipe, &Registry, |_| {}).expect("builds").program;
        let device = Self { room, program };
        write_crate(
            &device.program,
            &EmitOptions::default(),
            &device.path("model"),
            "{ path = \"../runtime\", default-features = false }",
        )
        .expect("a folder to write to");
        device.edit("model/Cargo.toml", "\n[workspace]\n", "");
        // The copies inherit the same keys as the originals; their tests are left out.
        let manifest = fs::read_to_string(root.join("Cargo.toml")).expect("a manifest");
        let shared = &manifest[manifest.find("[workspace.package]").expect("a workspace")..];
        let shared = &shared[..shared.find("[profile.release]").expect("profiles")];
        let members = "[workspace]\nmembers = [\"kernels\", \"runtime\", \"model\"]\nresolver = \"3\"\n\n";
        let package = "[package]\nname = \"device\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\nniello \
                       = { path = \"runtime\" }\nanam-net = { path = \"model\" }\n\n";
        // Optimised kernels are for other tests, and here they are compiled three times.
        let profile = "\n[profile.release]\nopt-level = 0\n";
        fs::write(device.path("Cargo.toml"), format!("{package}{members}{shared}{profile}"))
            .expect("writable");
        fs::create_dir_all(device.path("src")).expect("a folder");
        fs::write(device.path("src/main.rs"), driver(&device.program)).expect("writable");
        fs::copy(root.join("Cargo.lock"), device.path("Cargo.lock")).expect("a lock file");
        device
    }

    fn path(&self, name: &str) -> PathBuf {
        self.room.path().join(name)
    }

    /// Replaces the one place of a file where `from` stands.
    fn edit(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(name)).expect("a file");
        assert_eq!(text.matches(from).count(), 1, "{name}: `{from}`");
        fs::write(self.path(name), text.replace(from, to)).expect("writable");
    }

    /// Builds and runs it; the first difference from the golden file.
    fn difference(&self) -> Option<Difference> {
        let output = Command::new(env!("CARGO"))
            .args(["run", "--quiet", "--release", "--offline"])
            .current_dir(self.room.path())
            .env("CARGO_TARGET_DIR", self.path("target"))
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let golden = root.join(format!("tests/bits/{MODEL}.tflite-double.golden"));
        let golden: Golden = fs::read_to_string(golden).expect("a golden file").parse().expect("readable");
        golden.check_log(&String::from_utf8(output.stdout).expect("text")).expect("a complete log")
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// Prints lines that `niello golden --log` reads, for the seeds of the golden file.
fn driver(program: &Program) -> String {
    let type_name = emit(program, &EmitOptions::default()).expect("emits").type_name;
    format!(
        "use anam_net as m;
         fn main() {{
             let mut model = Box::new(m::{type_name}::new());
             let (mut input, mut output) = ([0i8; m::INPUT_LEN], [0i8; m::OUTPUT_LEN]);
             for seed in [1, 2] {{
                 println!(\"case seed:{{seed}}\");
                 niello::self_test::Codes::new(seed).fill(&mut input);
                 let mut print = |i: usize, l: &niello::LayerInfo, o: niello::Output<'_>| {{
                     println!(\"layer {{i}} {{}} - {{:016x}}\", l.name, o.checksum());
                 }};
                 model.infer_observed(&input, &mut output, &mut print);
                 println!(\"output 0 {{:016x}}\", niello::self_test::Checksum::of_codes(&output));
             }}
         }}"
    )
}

#[test]
fn a_wrong_constant_weight_or_offset_fails_the_bit_test_and_names_the_layer() {
    let device = Device::new();
    assert_eq!(device.difference(), None, "unchanged");

    // One rounding constant. Only sums just below a half change: the first layer has none for these inputs.
    let arith = "kernels/src/base/arith.rs";
    let (right, wrong) =
        ("(a as i64 * b as i64 + (1 << 30)) >> 31", "(a as i64 * b as i64 + (1 << 29)) >> 31");
    device.edit(arith, right, wrong);
    let difference = device.difference().expect("a difference");
    assert_eq!(difference.layer, "bottleneck1.ext_conv1", "rounding: {difference}");
    device.edit(arith, wrong, right);

    // One bit of one weight, in the first constant of the layer in the middle.
    let model = fs::read_to_string(device.path("model/src/model.rs")).expect("a file");
    let wanted = "bottleneck2.ext_conv2";
    let layer = device.program.steps.iter().position(|s| s.name == wanted).expect("a layer");
    let own = &model[model.find(&format!("static L{layer:02}_")).expect("its static")..];
    let weights = &own[own.find("weights: constants::i8s(&WEIGHTS, ").expect("its weights")..];
    let offset: String = weights["weights: constants::i8s(&WEIGHTS, ".len()..]
        .chars()
        .take_while(|c| *c != ',')
        .filter(char::is_ascii_digit)
        .collect();
    let blob = device.path("model/src/weights.bin");
    let original = fs::read(&blob).expect("weights");
    let mut flipped = original.clone();
    flipped[offset.parse::<usize>().expect("a number")] ^= 0x40;
    fs::write(&blob, &flipped).expect("writable");
    let difference = device.difference().expect("a difference");
    assert_eq!(difference.layer, wanted, "weight: {difference}");
    fs::write(&blob, &original).expect("writable");

    // One offset of the plan: a layer reads its input four bytes further on.
    let input = &own[own.find("input: Operand::arena(").expect("its input")..];
    let input = &input[..input.find(')').expect("its end")];
    let at = model.len() - own.len() + own.find(input).expect("found before");
    let place: String = input["input: Operand::arena(".len()..].chars().take_while(|c| *c != ',').collect();
    let number: u32 = place.trim().replace('_', "").parse().expect("an offset");
    let moved = input.replacen(place.trim(), &(number + 4).to_string(), 1);
    let changed = format!("{}{}{}", &model[..at], moved, &model[at + input.len()..]);
    fs::write(device.path("model/src/model.rs"), changed).expect("writable");
    let difference = device.difference().expect("a difference");
    assert_eq!(difference.layer, wanted, "offset: {difference}");
}
