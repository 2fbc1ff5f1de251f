//! Turns the bundled Anam-Net weights into static Rust for the board.

fn main() {
    if let Err(error) = niello_linux::recipe::compile() {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}
