fn main() {
    niello_codegen::Config::new(&own_networks::Own).build("denoiser.toml");
}
