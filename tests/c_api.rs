//! `niello compile --c-api`: the header agrees with the source, C compilers take it, misuse gets its code, tests can fail,
//! and several models link into one program.

#[allow(dead_code, reason = "each test program uses its part")]
mod common;
mod support;

use niello_codegen::emit::{EmitOptions, write_crate};
use niello_kernels::Rounding;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use support::Room;

/// A small network without files.
const SMALL: &str = "--model anam_net --seeded --width 4 --input 16x16 --target portable";

/// `niello compile` of the small network into a folder: whether it succeeded, its errors.
fn compile(room: &Room, folder: &str, flags: &[&str]) -> (bool, String) {
    let mut niello = Command::new(env!("CARGO_BIN_EXE_niello"));
    niello.current_dir(room.path(".")).arg("compile").args(SMALL.split(' ')).args(["--out", folder]);
    let output = niello.args(["--runtime", &runtime()]).args(flags).output().unwrap();
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

/// The runtime of this checkout, as a dependency.
fn runtime() -> String {
    format!("{{ path = {:?} }}", Path::new(env!("CARGO_MANIFEST_DIR")).join("runtime"))
}

fn read(path: PathBuf) -> String {
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The output of a command, which must succeed.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}\n{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn the_header_declares_what_the_source_defines() {
    let room = Room::new();
    let (done, error) = compile(&room, "net", &["--c-api"]);
    assert!(done, "{error}");
    let (ffi, header) = (read(room.path("net/src/ffi.rs")), read(room.path("net/include/anam_net.h")));

    let functions: Vec<&str> = ffi
        .lines()
        .filter(|line| line.starts_with("pub ") && line.contains("extern \"C\" fn "))
        .filter_map(|line| line.split("fn ").nth(1)?.split('(').next())
        .collect();
    assert_eq!(functions.len(), 9, "{functions:?}");
    let constants = ffi.lines().filter_map(|line| line.strip_prefix("pub const ")?.split(':').next());
    for name in functions.iter().map(|f| format!("{f}(")).chain(constants.map(|c| format!("#define {c} "))) {
        assert!(header.contains(&name), "no `{name}` in\n{header}");
    }
    // An element, and a float as C's single precision.
    assert!(header.contains("#define ANAM_NET_INPUT_LEN 256\n"), "{header}");
    let scale = header.lines().find_map(|line| line.strip_prefix("#define ANAM_NET_INPUT_SCALE "));
    assert!(scale.is_some_and(|scale| scale.ends_with('f')), "{scale:?}");

    check_syntax(&room.path("net/include/anam_net.h"));

    // The same again gives the same bytes.
    let (done, error) = compile(&room, "again", &["--c-api"]);
    assert!(done, "{error}");
    assert_eq!(read(room.path("again/include/anam_net.h")), header);
    assert_eq!(read(room.path("again/src/ffi.rs")), ffi);
}

/// A header without a warning.
fn check_syntax(header: &Path) {
    for standard in ["-std=c99", "-std=c11"] {
        let warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-x", "c"];
        run(Command::new("cc").args(warnings).arg(standard).arg(header));
    }
}

#[test]
fn names_that_c_would_misread_are_written_harmless() {
    let room = Room::new();
    let (done, error) = compile(&room, "net", &["--c-api=net", "--classes", "a */ b,\"say\" \\,ü /*"]);
    assert!(done, "{error}");
    check_syntax(&room.path("net/include/net.h"));
    assert!(read(room.path("net/src/ffi.rs")).contains(r#"c"\"say\" \\""#));
}

#[test]
fn without_the_flag_there_is_no_trace_of_it() {
    let room = Room::new();
    let (done, error) = compile(&room, "net", &[]);
    assert!(done, "{error}");
    assert!(!room.path("net/include").exists() && !room.path("net/src/ffi.rs").exists());
    assert!(read(room.path("net/src/lib.rs")).contains("#![forbid(unsafe_code)]"));
    assert!(!read(room.path("net/Cargo.toml")).contains("c-api"));
}

#[test]
fn a_prefix_that_c_cannot_have_is_an_error() {
    for prefix in ["9lives", "Lung", "lung-net", "größe", "_lung"] {
        let room = Room::new();
        let (done, error) = compile(&room, "net", &[&format!("--c-api={prefix}")]);
        assert!(!done && error.contains(&format!("`{prefix}` cannot begin names in C")), "{prefix}: {error}");
        assert!(!room.path("net").exists(), "{prefix}: something was left behind");
    }
}

#[test]
fn misuse_and_damage_are_told_and_models_share_a_program() {
    let room = Room::new();
    // Two outputs, one of them labels.
    let mut program =
        common::program(&common::quantized(common::every_operator(), Rounding::TfliteDouble), "portable");
    program.name = "every_model".into();
    let options = EmitOptions { c_api: Some("every".into()), ..EmitOptions::default() };
    write_crate(&program, &options, &room.path("every"), &runtime()).expect("a folder to write to");
    let header = read(room.path("every/include/every.h"));
    assert!(header.contains("EVERY_OUTPUT0_SCALE") && !header.contains("EVERY_OUTPUT1_SCALE"), "{header}");
    // Two inputs, one of them labels.
    let mut program =
        common::program(&common::quantized(common::generator(), Rounding::TfliteDouble), "portable");
    program.name = "made_model".into();
    let options = EmitOptions { c_api: Some("made".into()), ..EmitOptions::default() };
    write_crate(&program, &options, &room.path("made"), &runtime()).expect("a folder to write to");
    let header = read(room.path("made/include/made.h"));
    assert!(header.contains("MADE_INPUT0_SCALE") && !header.contains("MADE_INPUT1_SCALE"), "{header}");
    // The same network under two names, once with a damaged weight: the first byte belongs to the first layer.
    for name in ["good", "damaged"] {
        let (done, error) = compile(&room, name, &[&format!("--c-api={name}")]);
        assert!(done, "{error}");
    }
    // In floating point; one of the libraries watches the memory around the arena.
    for (name, format, element) in [("half", "f16", "uint16_t"), ("single", "f32", "float")] {
        let (done, error) = compile(&room, name, &[&format!("--c-api={name}"), "--format", format]);
        assert!(done, "{error}");
        let path = room.path(name).join(format!("include/{name}.h"));
        check_syntax(&path);
        let (header, upper) = (read(path), name.to_uppercase());
        assert!(header.starts_with(&format!("/* anam_net, {format}, as a library for C.")), "{header}");
        // The program below does the same as the example at the top.
        let example = format!(
            " *     static {element} input[{upper}_INPUT_LEN], output[{upper}_OUTPUT_LEN];\n *\n *     if ({name}_self_test(arena, \
             sizeof arena, input, {upper}_INPUT_LEN, output, {upper}_OUTPUT_LEN) != {upper}_OK)\n"
        );
        assert!(header.contains(&example), "{example}\n{header}");
        assert!(header.contains(&format!("const {element} *input,\n")), "{header}");
        assert!(!header.contains("_SCALE") && !header.contains("_prepare"), "{header}");
        assert!(!read(room.path(name).join("src/lib.rs")).contains("no floating point"));
    }
    assert!(read(room.path("good/src/lib.rs")).contains("no floating point in `infer`"));
    let weights = room.path("damaged/src/weights.bin");
    let mut bytes = fs::read(&weights).unwrap();
    bytes[0] ^= 0x40;
    fs::write(&weights, bytes).unwrap();

    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c_api");
    room.write("program.c", PROGRAM);
    let mut cc = Command::new("cc");
    cc.current_dir(room.path(".")).args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-g", "-o", "program"]);
    let mut libraries = vec![];
    for name in ["every", "made", "good", "damaged", "half", "single"] {
        let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock");
        fs::copy(lock, room.path(name).join("Cargo.lock")).unwrap();
        let canaries = if name == "half" { ",canaries" } else { "" };
        let call = format!(
            "rustc --quiet --offline --release --lib --crate-type staticlib --features panic-handler{canaries}"
        );
        let mut cargo = Command::new(env!("CARGO"));
        // `cargo xtask c` runs optimised ones.
        cargo.env("CARGO_TARGET_DIR", &target).env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
        run(cargo.args(call.split(' ')).current_dir(room.path(name)));
        cc.arg(format!("-I{name}/include"));
        libraries.push(target.join(format!("release/lib{name}.a")));
    }
    run(cc.arg("program.c").args(libraries));
    let printed = run(Command::new(room.path("program")).current_dir(room.path(".")));
    assert_eq!(printed, "47 checks\n");
}

/// Prints the failed expectations and the number of those that held.
const PROGRAM: &str = r#"
#include "damaged.h"
#include "every.h"
#include "good.h"
#include "half.h"
#include "made.h"
#include "single.h"
#include <stdio.h>

#define EXPECT(what)                                                                                         \
    do {                                                                                                     \
        if (what)                                                                                            \
            done++;                                                                                          \
        else                                                                                                 \
            printf("line %d: %s\n", __LINE__, #what);                                                        \
    } while (0)

/* One arena for all. */
EVERY_ALIGNED static int8_t arena[EVERY_ARENA_BYTES + GOOD_ARENA_BYTES + MADE_ARENA_BYTES];
static int8_t input[EVERY_INPUT_LEN], probabilities[EVERY_OUTPUT0_LEN], labels[EVERY_OUTPUT1_LEN];
static int8_t numbers[MADE_INPUT0_LEN], label[MADE_INPUT1_LEN], made[MADE_OUTPUT_LEN];
static int8_t image[GOOD_INPUT_LEN], scores[GOOD_OUTPUT_LEN];
static uint16_t halves[HALF_INPUT_LEN], half_scores[HALF_OUTPUT_LEN];
static float singles[SINGLE_INPUT_LEN], single_scores[SINGLE_OUTPUT_LEN];
HALF_ALIGNED static uint8_t watched[HALF_ARENA_BYTES + HALF_CANARY_BYTES];
SINGLE_ALIGNED static uint8_t single_arena[SINGLE_ARENA_BYTES];

#define INPUT input, sizeof input
#define FIRST probabilities, sizeof probabilities
#define SECOND labels, sizeof labels

static void count(void *user, const every_layer *layer)
{
    uint32_t *next = user;
    if (layer->index == *next && layer->name == every_layer_name(*next) && every_layer_checksum(layer) != 0)
        (*next)++;
}

/* Somebody who writes beside the arena. */
static void overrun(void *user, const half_layer *layer)
{
    (void)layer;
    *(uint8_t *)user ^= 1;
}

int main(void)
{
    int done = 0;
    uint32_t layers = 0, layer = 99;

    EXPECT(every_self_test(arena, sizeof arena, INPUT, FIRST, SECOND) == EVERY_OK);
    EXPECT(made_self_test(arena, sizeof arena, numbers, sizeof numbers, label, sizeof label, made,
                          sizeof made) == MADE_OK);
    EXPECT(every_check_layers(arena, sizeof arena, INPUT, FIRST, SECOND, &layer) == EVERY_OK && layer == 99);
    EXPECT(every_infer(arena, EVERY_ARENA_BYTES, INPUT, FIRST, SECOND) == EVERY_OK);
    EXPECT(every_infer_observed(arena, sizeof arena, INPUT, FIRST, SECOND, count, &layers) == EVERY_OK);
    EXPECT(layers == EVERY_LAYERS);
    EXPECT(EVERY_CLASSES == 2 && every_class_name(1)[0] == 't' && every_class_name(2) == NULL);

    EXPECT(every_infer(NULL, sizeof arena, INPUT, FIRST, SECOND) == EVERY_ERROR_NULL);
    EXPECT(every_infer(arena, sizeof arena, NULL, sizeof input, FIRST, SECOND) == EVERY_ERROR_NULL);
    EXPECT(every_infer(arena, sizeof arena, INPUT, NULL, sizeof probabilities, SECOND) == EVERY_ERROR_NULL);
    EXPECT(every_infer(arena, sizeof arena, INPUT, FIRST, NULL, sizeof labels) == EVERY_ERROR_NULL);
    EXPECT(every_infer_observed(arena, sizeof arena, INPUT, FIRST, SECOND, NULL, NULL) == EVERY_ERROR_NULL);
    EXPECT(every_infer(arena, EVERY_ARENA_BYTES - 1, INPUT, FIRST, SECOND) == EVERY_ERROR_LENGTH);
    EXPECT(every_infer(arena, sizeof arena, input, sizeof input - 1, FIRST, SECOND) == EVERY_ERROR_LENGTH);
    EXPECT(every_infer(arena, sizeof arena, INPUT, FIRST, labels, 0) == EVERY_ERROR_LENGTH);
    EXPECT(every_infer(arena + 1, sizeof arena - 1, INPUT, FIRST, SECOND) == EVERY_ERROR_ALIGNMENT);
    EXPECT(every_infer(arena + 32, sizeof arena - 32, INPUT, FIRST, SECOND) == EVERY_ERROR_ALIGNMENT);
    EXPECT(every_infer(arena, sizeof arena, INPUT, labels, sizeof probabilities, SECOND) == EVERY_ERROR_OVERLAP);
    EXPECT(every_infer(arena, sizeof arena, INPUT, input, sizeof probabilities, SECOND) == EVERY_ERROR_OVERLAP);
    EXPECT(every_infer(arena, sizeof arena, arena, sizeof input, FIRST, SECOND) == EVERY_ERROR_OVERLAP);
    /* Behind what the model uses of its arena is room for others. */
    EXPECT(every_infer(arena, sizeof arena, arena + EVERY_ARENA_BYTES, sizeof input, FIRST, SECOND) == EVERY_OK);
    EXPECT(every_self_test(arena, sizeof arena, labels, sizeof input, FIRST, SECOND) == EVERY_ERROR_OVERLAP);
    EXPECT(every_check_layers(arena, sizeof arena, INPUT, FIRST, labels, 1, NULL) == EVERY_ERROR_LENGTH);
    EXPECT(every_layer_name(EVERY_LAYERS) == NULL && every_layer_checksum(NULL) == 0);

    EXPECT(good_self_test(arena, sizeof arena, image, sizeof image, scores, sizeof scores) == GOOD_OK);
    EXPECT(good_check_layers(arena, sizeof arena, image, sizeof image, scores, sizeof scores, &layer) == GOOD_OK);
    EXPECT(good_prepare((uint8_t *)arena, sizeof image, image, sizeof image) == GOOD_OK);
    EXPECT(good_prepare((uint8_t *)image, sizeof image, image, sizeof image) == GOOD_ERROR_OVERLAP);
    EXPECT(damaged_self_test(arena, sizeof arena, image, sizeof image, scores, sizeof scores) == DAMAGED_ERROR_WEIGHTS);
    EXPECT(damaged_check_layers(arena, sizeof arena, image, sizeof image, scores, sizeof scores, &layer)
           == DAMAGED_ERROR_LAYER);
    EXPECT(layer == 0);

    /* Zeros but for one number: its results are numbers too. */
    singles[0] = 1.0f;
    halves[0] = 0x3c00;
    EXPECT(single_self_test(single_arena, sizeof single_arena, singles, SINGLE_INPUT_LEN, single_scores, SINGLE_OUTPUT_LEN)
           == SINGLE_OK);
    EXPECT(single_infer(single_arena, sizeof single_arena, singles, SINGLE_INPUT_LEN, single_scores, SINGLE_OUTPUT_LEN) == SINGLE_OK);
    EXPECT(single_infer(single_arena, sizeof single_arena, singles, sizeof singles, single_scores, SINGLE_OUTPUT_LEN)
           == SINGLE_ERROR_LENGTH);
    EXPECT(single_scores[0] > -1000.0f && single_scores[0] < 1000.0f && single_scores[0] != 0.0f);

    EXPECT(half_self_test(watched, sizeof watched, halves, HALF_INPUT_LEN, half_scores, HALF_OUTPUT_LEN) == HALF_OK);
    EXPECT(half_infer(watched, HALF_ARENA_BYTES, halves, HALF_INPUT_LEN, half_scores, HALF_OUTPUT_LEN) == HALF_ERROR_LENGTH);
    for (size_t i = 0; i < sizeof watched; i++)
        watched[i] = 0xa5;
    EXPECT(half_infer(watched, sizeof watched, halves, HALF_INPUT_LEN, half_scores, HALF_OUTPUT_LEN) == HALF_OK);
#define HALF_OBSERVED(at) half_infer_observed(watched, sizeof watched, halves, HALF_INPUT_LEN, half_scores, HALF_OUTPUT_LEN, overrun, at)
    EXPECT(HALF_OBSERVED(&watched[HALF_CANARY_BYTES / 2 - 1]) == HALF_ERROR_ARENA);
    EXPECT(HALF_OBSERVED(&watched[sizeof watched - HALF_CANARY_BYTES / 2]) == HALF_ERROR_ARENA);

    good_weight_check good_check = {{0}};
    damaged_weight_check damaged_check = {{0}};
    uint32_t calls = 1;
    while (good_check_weights(&good_check, 1000, &layer) == GOOD_MORE)
        calls++;
    EXPECT(calls > 3 && good_check.state[0] == 0);
    EXPECT(good_check_weights(&good_check, SIZE_MAX, NULL) == GOOD_OK);
    EXPECT(good_check_weights(NULL, 4, NULL) == GOOD_ERROR_NULL);
    EXPECT(good_check_weights((good_weight_check *)((char *)&good_check + 1), 4, NULL) == GOOD_ERROR_ALIGNMENT);
    layer = 99;
    EXPECT(damaged_check_weights(&damaged_check, SIZE_MAX, &layer) == DAMAGED_ERROR_WEIGHTS && layer == 0);
    EXPECT(damaged_check_weights(&damaged_check, SIZE_MAX, &layer) == DAMAGED_OK);
    half_weight_check half_check = {{0}};
    EXPECT(half_check_weights(&half_check, SIZE_MAX, NULL) == HALF_OK);

    printf("%d checks\n", done);
    return 0;
}
"#;
