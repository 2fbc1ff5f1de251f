//! The whole command line, for the built-in networks and our own.

fn main() -> std::process::ExitCode {
    niello_cli::main(&(niello_models::Registry, own_networks::Own))
}
