//! A folder of small checkpoints and images, and the command line run in it.

#![allow(dead_code, reason = "each test program uses its part")]

use niello_codegen::{
    import::network::{NetworkOptions, Networks},
    weights::{Request, Seeded, WeightSource, seeded_values},
};
use niello_imaging::{NpyData, Palette, write_npy, write_overlay_png};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// Tensors of a checkpoint: shape and values by name.
pub(crate) type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// A DICOM element: tag, representation, value.
pub(crate) type Element<'a> = ((u16, u16), &'a str, &'a str);

/// Seeded weights that remember the requests.
#[derive(Default)]
struct Recorder(Tensors);

impl WeightSource for Recorder {
    fn describe(&self) -> String {
        "seeded".into()
    }

    fn load(&mut self, request: &Request<'_>) -> Result<Vec<f32>, String> {
        let data = Seeded::new().load(request)?;
        self.0.insert(request.name.into(), (request.shape.into(), data.clone()));
        Ok(data)
    }
}

/// The tensors that a network of `classes` asks for, seeded.
pub(crate) fn tensors(network: &str, classes: usize) -> Tensors {
    let mut recorder = Recorder::default();
    let options = NetworkOptions { classes: Some(classes), ..Default::default() };
    niello_models::Registry.find(network).unwrap().build(&options, &mut recorder).unwrap();
    recorder.0
}

/// A safetensors file's bytes.
pub(crate) fn safetensors(tensors: &Tensors) -> Vec<u8> {
    let bytes: Vec<(&String, &Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, (shape, data))| (name, shape, data.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let views = bytes
        .iter()
        .map(|(name, shape, data)| (*name, TensorView::new(Dtype::F32, shape.to_vec(), data).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

/// A temporary folder in which `niello` runs.
pub(crate) struct Room(tempfile::TempDir);

impl Room {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file and the folders above it.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// A seeded checkpoint.
    pub(crate) fn checkpoint(&self, name: &str, network: &str, classes: usize) {
        self.write(name, safetensors(&tensors(network, classes)));
    }

    /// An RGB PNG of `side x side`, gray pixels under coloured ones.
    pub(crate) fn png(&self, name: &str, side: usize) {
        self.write(name, []);
        let labels: Vec<u8> = (0..side * side).map(|i| (i / 7 % 4) as u8).collect();
        write_overlay_png(self.path(name), &gray(name, side), &labels, [side; 2], &Palette::default())
            .unwrap();
    }

    /// An NPY of `side x side` Hounsfield units.
    pub(crate) fn npy(&self, name: &str, side: usize) {
        self.write(name, []);
        let hu: Vec<f32> = gray(name, side).iter().map(|v| f32::from(*v) * 6.0 - 1200.0).collect();
        write_npy(self.path(name), NpyData::F32(&hu), &[side, side]).unwrap();
    }

    /// A gray JPEG.
    pub(crate) fn jpeg(&self, name: &str, side: usize) {
        let mut bytes = vec![];
        let encoder = jpeg_encoder::Encoder::new(&mut bytes, 95);
        encoder.encode(&gray(name, side), side as u16, side as u16, jpeg_encoder::ColorType::Luma).unwrap();
        self.write(name, bytes);
    }

    /// A DICOM slice (CT, explicit VR little endian, 16 bits, slope 1, intercept -1024).
    pub(crate) fn dicom(&self, name: &str, side: usize) {
        let samples = gray(name, side).into_iter().map(|v| u16::from(v) * 6).collect::<Vec<_>>();
        self.ct(name, [side; 2], &samples, &[]);
    }

    /// The same of given samples, with more elements, which replace those of their tags.
    pub(crate) fn ct(&self, name: &str, [h, w]: [usize; 2], samples: &[u16], more: &[Element<'_>]) {
        let short = |n: usize| (n as u16).to_le_bytes().to_vec();
        let text = |t: &str| t.as_bytes().to_vec();
        let mut elements: BTreeMap<(u16, u16), (&str, Vec<u8>)> = BTreeMap::from([
            ((0x0002, 0x0010), ("UI", text("1.2.840.10008.1.2.1\0"))),
            ((0x0008, 0x0060), ("CS", text("CT"))),
            ((0x0028, 0x0002), ("US", short(1))),
            ((0x0028, 0x0004), ("CS", text("MONOCHROME2 "))),
            ((0x0028, 0x0010), ("US", short(h))),
            ((0x0028, 0x0011), ("US", short(w))),
            ((0x0028, 0x0100), ("US", short(16))),
            ((0x0028, 0x0101), ("US", short(16))),
            ((0x0028, 0x0102), ("US", short(15))),
            ((0x0028, 0x0103), ("US", short(0))),
            ((0x0028, 0x1052), ("DS", text("-1024 "))),
            ((0x0028, 0x1053), ("DS", text("1 "))),
            ((0x7fe0, 0x0010), ("OW", samples.iter().flat_map(|v| v.to_le_bytes()).collect())),
        ]);
        for (tag, vr, value) in more {
            let mut value = text(value);
            if value.len() % 2 == 1 {
                value.push(if *vr == "UI" { 0 } else { b' ' });
            }
            elements.insert(*tag, (vr, value));
        }
        let mut bytes = vec![0; 128];
        bytes.extend(b"DICM");
        for (tag, (vr, value)) in elements.into_iter().filter(|(_, (_, value))| !value.is_empty()) {
            bytes.extend([tag.0.to_le_bytes(), tag.1.to_le_bytes()].concat());
            bytes.extend(vr.as_bytes());
            if vr == "OW" {
                bytes.extend([0, 0]);
                bytes.extend((value.len() as u32).to_le_bytes());
            } else {
                bytes.extend((value.len() as u16).to_le_bytes());
            }
            bytes.extend(value);
        }
        self.write(name, bytes);
    }

    /// Runs `niello` with these words.
    pub(crate) fn niello(&self, words: &str) -> Output {
        self.command(words).output().unwrap()
    }

    pub(crate) fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_niello"));
        // On a busy machine a step may take long enough for a line of progress.
        command.arg("--quiet").args(words.split_whitespace()).current_dir(self.0.path());
        command
    }

    /// The output of a command that succeeds.
    pub(crate) fn text(&self, words: &str) -> String {
        let output = self.niello(words);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && errors.is_empty(), "niello {words}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The output of a command that succeeds, as JSON.
    pub(crate) fn json(&self, words: &str) -> Value {
        let text = self.text(words);
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("niello {words}: {e}\n{text}"))
    }

    /// Every file and folder, with the bytes of files.
    pub(crate) fn contents(&self, below: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.path(below)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(self.path(below)).unwrap().to_path_buf();
                if path.is_dir() {
                    found.insert(name, vec![]);
                    folders.push(path);
                } else {
                    found.insert(name, fs::read(&path).unwrap());
                }
            }
        }
        found
    }
}

/// Smooth stripes and some noise: an image that depends on its name.
pub(crate) fn gray(name: &str, side: usize) -> Vec<u8> {
    let noise = seeded_values(name).take(side * side);
    let phase = name.len() as f64;
    noise
        .enumerate()
        .map(|(i, v)| {
            let (y, x) = ((i / side) as f64, (i % side) as f64);
            (127.0 + 90.0 * ((x + phase) / 5.0).sin() * (y / 7.0).cos() + 30.0 * v) as u8
        })
        .collect()
}

/// Whether all cases run (`cargo xtask test --sweep`), or those of a push.
pub(crate) fn sweep() -> bool {
    std::env::var_os("NIELLO_SWEEP").is_some()
}

/// The names in a JSON object.
pub(crate) fn keys(value: &Value) -> BTreeSet<&str> {
    value
        .as_object()
        .unwrap_or_else(|| panic!("expected an object, found {value}"))
        .keys()
        .map(|k| &**k)
        .collect()
}

/// `../shared`; `None`, with a note, where there is none and this is not a CI run.
pub(crate) fn shared() -> Option<PathBuf> {
    let chosen = std::env::var_os("NIELLO_SHARED").map(PathBuf::from);
    let required = chosen.is_some() || std::env::var("CI").is_ok_and(|v| v == "true");
    let folder = chosen.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"));
    if folder.join("data").is_dir() {
        return Some(folder);
    }
    assert!(!required, "no shared data in {}", folder.display());
    println!("skipped: no shared data in {}", folder.display());
    None
}
