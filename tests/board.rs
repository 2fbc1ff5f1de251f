//! Boards on the command line: models that fit, bytes that are missing otherwise, and the report of each memory.

mod support;

use serde_json::Value;
use support::Room;

/// A small network without files.
const SMALL: [&str; 7] = ["--model", "anam_net", "--seeded", "--width", "4", "--input", "16x16"];

/// A board with `flash` bytes of flash and 64 KiB of RAM.
fn board(flash: u64) -> String {
    format!(
        "name = 'small'\nsummary = 'for tests'\ncore = 'cortex-m4'\nrust-target = 'thumbv7em-none-eabihf'\n\
         target = 'portable'\nplace = {{ code = 'FLASH', weights = 'FLASH', arena = 'RAM', stack = 'RAM' }}\n\
         reserve = {{ code = 100, stack = '1K' }}\n\
         memory = [{{ name = 'FLASH', kind = 'flash', origin = 0, length = {flash} }},\n\
         {{ name = 'RAM', kind = 'ram', origin = 0x2000_0000, length = '64K' }}]\n"
    )
}

/// `niello COMMAND` on the small network: whether it succeeded, its output, its errors.
fn niello(room: &Room, command: &str, args: &[&str]) -> (bool, String, String) {
    let mut niello = std::process::Command::new(env!("CARGO_BIN_EXE_niello"));
    let output = niello
        .arg("--quiet")
        .current_dir(room.path("."))
        .arg(command)
        .args(SMALL)
        .args(args)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

/// The report's JSON on a board.
fn report(room: &Room, args: &[&str]) -> Value {
    let (done, text, error) = niello(room, "report", &[args, &["--json"]].concat());
    assert!(done, "{error}");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_board_that_is_too_small_is_an_error_with_the_bytes() {
    let room = Room::new();
    room.write("board.toml", board(1 << 20));
    let used = report(&room, &["--board", "board.toml"])["board"]["memories"][0]["used"].as_u64().unwrap();

    room.write("board.toml", board(used));
    let (done, _, error) = niello(&room, "compile", &["--board", "board.toml", "--out", "fits"]);
    assert!(done, "{error}");

    room.write("board.toml", board(used - 3));
    let (done, _, error) = niello(&room, "compile", &["--board", "board.toml", "--out", "too_large"]);
    assert!(
        !done && error.contains("FLASH: 3 bytes too many") && error.contains("heaviest layers"),
        "{error}"
    );

    let (done, text, _) = niello(&room, "report", &["--board", "board.toml"]);
    assert!(!done && text.contains("FLASH does not fit: 3 bytes too many"), "{text}");
    let (done, text, error) = niello(&room, "report", &["--board", "board.toml", "--json"]);
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["board"]["memories"][0]["used"], used);
    assert!(
        !done && error.contains("anam_net: does not fit board `small`: FLASH 3 bytes too many"),
        "{error}"
    );
}

#[test]
fn boards_of_the_tree_have_names_and_choose_the_target() {
    let room = Room::new();
    for (board, target) in
        [("stm32h743", "cortex-m-dsp"), ("raspberry-pi", "aarch64-neon"), ("mps2-an385", "portable")]
    {
        assert_eq!(report(&room, &["--board", board])["target"], target, "{board}");
    }
    assert_eq!(report(&room, &["--board", "jetson", "--target", "portable"])["target"], "portable");
    let (done, _, error) = niello(&room, "report", &["--board", "arduino"]);
    assert!(!done && error.contains("no board `arduino`") && error.contains("stm32f446"), "{error}");
}

#[test]
fn weights_and_arena_lie_where_the_board_or_the_recipe_says() {
    let room = Room::new();
    let more = board(1 << 20).replace(
        "memory = [",
        "memory = [{ name = 'QSPI', kind = 'flash', origin = 0x9000_0000, length = '1M' },\n",
    );
    room.write("board.toml", more.replace("weights = 'FLASH'", "weights = 'QSPI'"));
    let compile = |args: &[&str]| {
        let (done, _, error) = niello(&room, "compile", &[args, &["--out", "crate"]].concat());
        done.then(|| std::fs::read_to_string(room.path("crate/src/model.rs")).unwrap()).ok_or(error)
    };
    let sections = |source: &str| {
        let lines = source.lines().filter_map(|line| line.trim().strip_prefix("#[unsafe(link_section = \""));
        lines.map(|line| line.trim_end_matches("\")]").to_string()).collect::<Vec<_>>()
    };
    assert_eq!(sections(&compile(&[]).unwrap()), [""; 0]);
    assert_eq!(sections(&compile(&["--board", "board.toml"]).unwrap()), [".qspi"]);
    let both =
        compile(&["--board", "board.toml", "--weights-section", ".qspi.model", "--arena-section", ".dtcm"])
            .unwrap();
    assert_eq!(sections(&both), [".qspi.model", ".dtcm"]);
    assert!(both.contains("pub static ARENA: ArenaCell<ARENA_BYTES>"), "{both}");

    room.write("board.toml", more);
    let error = compile(&["--board", "board.toml", "--weights-section", ".qspi"]).unwrap_err();
    let expected = "`target.weights-section` is `.qspi`, in memory `QSPI` of board `small`, whose `place.weights` is `FLASH`";
    assert!(error.replace("\n", " ").contains(expected), "{error}");
}

#[test]
fn a_linked_file_is_measured() {
    let room = Room::new();
    let (done, _, error) = niello(&room, "report", &["--elf", "firmware"]);
    assert!(!done && error.contains("`--board`"), "{error}");
    if cfg!(not(target_os = "linux")) {
        return;
    }
    // The command line itself is an ELF, and holds bundled weights.
    let json = report(&room, &["--board", "raspberry-pi", "--elf", env!("CARGO_BIN_EXE_niello")]);
    let memory = &json["board"]["memories"][0];
    let parts = memory["parts"].as_array().unwrap();
    let sum: u64 = parts.iter().map(|part| part["bytes"].as_u64().unwrap()).sum();
    assert_eq!(memory["used"], sum);
    let code = parts.iter().find(|part| part["name"] == "code").unwrap();
    assert!(code["bytes"].as_u64().unwrap() > 100_000, "{memory}");
}
