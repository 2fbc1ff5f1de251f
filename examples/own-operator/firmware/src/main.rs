fn main() {
    own_firmware::self_test().expect("the same bytes as when it was generated");
    println!("denoiser: the self-test passed, arena {} bytes", own_firmware::model::ARENA_BYTES);
}
