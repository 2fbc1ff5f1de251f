fn main() {
    // The built-in networks bring the boards with them.
    niello_codegen::Config::new(&(niello_models::Registry, own_networks::Own)).build("denoiser.toml");
}
