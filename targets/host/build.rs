//! Turns the bundled Anam-Net weights into static Rust.

fn main() {
    if let Err(error) = niello_models::compile("anam_net.toml") {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}
