//! The model of `model.toml`, held against `board.toml`.

fn main() {
    niello_board_build::run();
}
