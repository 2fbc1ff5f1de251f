//! Generated models come from the folder in `NIELLO_GENERATED`, which `cargo xtask generate` writes. Without it the program has none, and
//! reports that when it runs: it can still be checked and linted.

fn main() {
    println!("cargo::rerun-if-env-changed=NIELLO_GENERATED");
    if std::env::var_os("NIELLO_GENERATED").is_none() {
        let own = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
        println!("cargo::rustc-env=NIELLO_GENERATED={own}/none");
    }
}
