//! One folder: the models of one program.

use crate::{kernels, list, plan::Model};
use niello_codegen::{
    Error, Result,
    board::Board,
    check::golden::{Golden, Source},
    emit::{EmitOptions, LayerChecks, WeightsPath, emit},
    pipeline::Build,
    program::Program,
    recipe::Target,
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// A folder and the files that were written there.
pub(crate) struct Folder {
    path: PathBuf,
    /// Lines of the list, by module.
    entries: BTreeMap<String, String>,
    /// The board's file, of firmware.
    board: Option<String>,
}

impl Folder {
    /// Not created yet.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, entries: BTreeMap::new(), board: None }
    }

    /// Writes a model. `build` gets its target, and is left as it was for other models; `own` is the target of the recipe.
    ///
    /// # Errors
    /// An unknown target or board, a model that does not fit, files that cannot be read or written.
    pub(crate) fn model(
        &mut self,
        model: &Model,
        build: &mut Build,
        own: &Target,
        images: Option<&Path>,
    ) -> Result<()> {
        let own = own.clone();
        match (&model.target, &model.board) {
            (None, None) => build.place(own)?,
            (target, board) => {
                let mut place = Target::default();
                place.name = target.clone().unwrap_or(place.name);
                place.board = board.as_deref().map(absolute).transpose()?.map(Into::into);
                place.tuning = own.tuning;
                build.place(place)?;
            }
        }
        let cases = match &model.golden {
            Some(golden) => self.cases(model, build, golden, images)?,
            None => String::new(),
        };
        let layer_checks = if model.layer_checks { LayerChecks::Inline } else { LayerChecks::Absent };
        let options = EmitOptions { layer_checks, ..build.emit_options() };
        self.write(model, &build.program, &build.recipe.target, options, &cases)
    }

    /// Writes the single layers of [`kernels`].
    ///
    /// # Errors
    /// As [`Folder::model`].
    pub(crate) fn layers(&mut self, model: &Model) -> Result<()> {
        let board = model.board.as_ref().map(Board::from_file).transpose()?;
        let target = board.as_ref().map(|board| &board.target).or(model.target.as_ref());
        let target = target.ok_or_else(|| Error::Invalid("single layers need a target or a board".into()))?;
        self.write(model, &kernels::program(target)?, &Target::default(), EmitOptions::default(), "")
    }

    fn write(
        &mut self,
        model: &Model,
        program: &Program,
        target: &Target,
        options: EmitOptions,
        cases: &str,
    ) -> Result<()> {
        let module = model.module();
        let weights = WeightsPath::Beside(format!("{module}.bin"));
        let mut generated = emit(program, &EmitOptions { weights, ..options })?;
        if let Some(layer) = model.flip {
            flip(&generated.source, &mut generated.weights, layer)?;
        }
        self.put(&format!("{module}.bin"), &generated.weights)?;
        self.put(&format!("{module}.rs"), generated.source.as_bytes())?;
        if self.board.is_some() && self.board != model.board {
            return Err(Error::Invalid(format!("{}: models for several boards", self.path.display())));
        }
        self.board.clone_from(&model.board);
        let entry = list::entry(&model.name, &module, program, target, cases);
        self.entries.insert(module, entry);
        Ok(())
    }

    /// The cases of a golden file as expressions; the codes of images lie beside the module.
    fn cases(&self, model: &Model, build: &Build, golden: &Path, images: Option<&Path>) -> Result<String> {
        let golden: Golden = fs::read_to_string(golden).map_err(Error::io("cannot read", golden))?.parse()?;
        let mut text = String::new();
        for (i, case) in golden.cases.iter().enumerate() {
            let name = case.source.name();
            match (&case.source, images) {
                (Source::Seed(seed), _) => text += &format!("({name:?}, Seed({seed})), "),
                (Source::File(file), Some(images)) => {
                    let image = niello_imaging::load(images.join(file))?;
                    let codes: Vec<u8> = build.input_codes(&image)?.iter().map(|c| *c as u8).collect();
                    let file = format!("{}.case{i}.bin", model.module());
                    self.put(&file, &codes)?;
                    text += &format!("({name:?}, Codes(include_bytes!({file:?}))), ");
                }
                (Source::File(_), None) => {}
            }
        }
        Ok(text)
    }

    /// Writes the files of all models: their list, the board's memory map.
    ///
    /// # Errors
    /// As [`Folder::model`].
    pub(crate) fn finish<'m>(self, models: impl Iterator<Item = &'m Model>) -> Result<()> {
        let modules: Vec<String> = models.map(Model::module).collect();
        let entries = modules.iter().filter_map(|module| self.entries.get_key_value(module));
        self.put("models.rs", list::text(entries).as_bytes())?;
        match &self.board {
            Some(board) => self.put("memory.x", Board::from_file(board)?.memory_x()?.as_bytes()),
            None => Ok(()),
        }
    }

    /// Writes a file unless it is there with the same bytes: results of compiling it stay valid.
    fn put(&self, file: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path.join(file);
        if fs::read(&path).is_ok_and(|there| there == bytes) {
            return Ok(());
        }
        fs::create_dir_all(&self.path).map_err(Error::io("cannot create", &self.path))?;
        fs::write(&path, bytes).map_err(Error::io("cannot write", &path))
    }
}

/// A path that counts from here, not from a recipe's folder.
fn absolute(path: &str) -> Result<PathBuf> {
    std::path::absolute(path).map_err(Error::io("cannot find", path))
}

/// Flips a bit of the first weight of a layer, as a worn flash might.
fn flip(source: &str, weights: &mut [u8], layer: usize) -> Result<()> {
    const WEIGHTS: &str = "weights: constants::i8s(&WEIGHTS, ";
    let own = source.split_once(&format!("static L{layer:02}_")).map_or("", |(_, own)| own);
    let own = own.split_once(WEIGHTS).map_or("", |(_, digits)| digits);
    let digits: String = own.chars().take_while(|c| *c != ',').filter(char::is_ascii_digit).collect();
    let first = digits.parse().ok().and_then(|offset: usize| weights.get_mut(offset));
    *first.ok_or_else(|| Error::Invalid(format!("flip: layer {layer} has no weights")))? ^= 0x40;
    Ok(())
}
