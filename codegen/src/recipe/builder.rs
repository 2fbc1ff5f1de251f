//! Recipes in Rust: what has not the form of a row in `keys`.

use super::{NameOrFile, RangeOverride, Recipe};
use std::path::PathBuf;

impl Recipe {
    /// A recipe with everything as the network has it, calibrated on nothing, for the machine that is built for. Each key has a method.
    ///
    /// ```
    /// use niello_codegen::recipe::{Head, Recipe};
    /// use std::path::Path;
    ///
    /// let recipe = Recipe::new("squeezenet1_1")
    ///     .weights("weights.safetensors")
    ///     .classes(["covid", "other"])
    ///     .input_size(227, 227)
    ///     .preprocess("imagenet")
    ///     .calibrate_on("calibration/")
    ///     .head(Head::Softmax)
    ///     .int16("classifier.1")
    ///     .threads(2)
    ///     .base_dir("models");
    /// recipe.validate().unwrap();
    /// assert_eq!(recipe.weights_path().unwrap(), Path::new("models/weights.safetensors"));
    /// assert!(recipe.seeded().validate().is_err(), "weights from a file and from a seed");
    /// ```
    pub fn new(network: impl Into<NameOrFile>) -> Self {
        Self { network: network.into(), ..Self::default() }
    }

    /// Class names, in the order of the outputs.
    #[must_use]
    pub fn classes(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.classes = names.into_iter().map(Into::into).collect();
        self
    }

    /// Height and width of the input.
    #[must_use]
    pub fn input_size(mut self, height: usize, width: usize) -> Self {
        self.input.size = Some([height, width]);
        self
    }

    /// Turns Hounsfield units into 8-bit intensities before everything else.
    ///
    /// ```
    /// use niello_codegen::recipe::Recipe;
    ///
    /// Recipe::new("squeezenet1_0").preprocess("imagenet").window(-600.0, 1500.0).validate().unwrap();
    /// assert!(Recipe::new("squeezenet1_0").window(40.0, 0.0).validate().is_err());
    /// ```
    #[must_use]
    pub fn window(mut self, centre: f64, width: f64) -> Self {
        self.input.window = Some(format!("{centre},{width}"));
        self
    }

    /// A folder of images, an image, or a safetensors file of inputs to calibrate on.
    #[must_use]
    pub fn calibrate_on(self, path: impl Into<PathBuf>) -> Self {
        self.calibrate_on_files([path])
    }

    /// Images to calibrate on.
    ///
    /// ```
    /// use niello_codegen::recipe::Recipe;
    ///
    /// let recipe = Recipe::new("anam_net").calibrate_on_files(["a.png", "b.dcm"]);
    /// assert_eq!(recipe.files().len(), 2);
    /// ```
    #[must_use]
    pub fn calibrate_on_files(mut self, paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        self.calibrate.images = Some(paths.into_iter().collect());
        self
    }

    /// Another range for one layer's output.
    ///
    /// ```
    /// use niello_codegen::recipe::{RangeOverride, Recipe};
    ///
    /// let recipe = Recipe::new("anam_net").override_range("conv_final", RangeOverride::fixed(-8.0, 8.0));
    /// recipe.validate().unwrap();
    /// ```
    #[must_use]
    pub fn override_range(mut self, layer: impl Into<String>, range: RangeOverride) -> Self {
        self.overrides.insert(layer.into(), range);
        self
    }

    /// The folder that paths are relative to.
    #[must_use]
    pub fn base_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.base_dir = dir.into();
        self
    }
}
