//! Seeds of the fuzz target `safetensors`, through its entry point; see `fuzz/`.

use niello_codegen::weights::SafeTensorsFile;
use std::{fs, path::Path};

#[test]
fn fuzz_seeds_are_read_or_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/safetensors");
    let seeds = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut run = 0;
    for path in seeds.map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match SafeTensorsFile::from_bytes(&name, fs::read(&path).unwrap()) {
            Ok(file) => {
                assert!(name.starts_with("good"), "{name} was read");
                assert!(file.shapes().count() > 0, "{name}");
            }
            Err(error) => {
                assert!(name.starts_with("bad"), "{name}: {error}");
                assert!(error.to_string().contains(&name), "{error}");
            }
        }
        run += 1;
    }
    assert!(run >= 8, "{run} seeds in {}", folder.display());
}
