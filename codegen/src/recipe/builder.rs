//! Recipes in Rust: one call per key.
//!
//! Long because every key has a method with an example that is run; there is nothing else in it.

use super::{
    Calibrate, Format, Head, Input, NumberFormat, Output, RangeChoice, RangeOverride, Recipe, Rounding,
    Target,
};
use std::{collections::BTreeMap, path::PathBuf};

impl Recipe {
    /// A recipe with everything as the network has it, calibrated on nothing, for the machine that is built for.
    ///
    /// ```
    /// use niello_codegen::recipe::Recipe;
    ///
    /// let recipe = Recipe::new("squeezenet1_1")
    ///     .weights("weights.safetensors")
    ///     .classes(["covid", "other"])
    ///     .input_size(227, 227)
    ///     .preprocess("imagenet")
    ///     .calibrate_on("calibration/");
    /// recipe.validate().unwrap();
    /// ```
    pub fn new(network: impl Into<String>) -> Self {
        Self {
            network: network.into(),
            weights: None,
            seeded: false,
            width: None,
            classes: Vec::new(),
            input: Input::default(),
            calibrate: Calibrate::default(),
            output: Output::default(),
            format: Format::default(),
            target: Target::default(),
            overrides: BTreeMap::new(),
            base_dir: PathBuf::new(),
            file: None,
            recalibrate: false,
        }
    }

    /// The weights' file (safetensors).
    ///
    /// ```
    /// use niello_codegen::recipe::Recipe;
    /// use std::path::Path;
    ///
    /// let recipe = Recipe::new("anam_net").weights("weights.safetensors");
    /// assert_eq!(recipe.weights_path().unwrap(), Path::new("weights.safetensors"));
    /// ```
    #[must_use]
    pub fn weights(mut self, path: impl Into<PathBuf>) -> Self {
        self.weights = Some(path.into());
        self
    }

    /// Weights from a seed instead of a file: for sizes, speed and bits, which no training changes.
    ///
    /// ```
    /// use niello_codegen::recipe::Recipe;
    ///
    /// Recipe::new("squeezenet1_1").seeded().validate().unwrap();
    /// assert!(Recipe::new("squeezenet1_1").seeded().weights("w.safetensors").validate().is_err());
    /// ```
    #[must_use]
    pub fn seeded(mut self) -> Self {
        self.seeded = true;
        self
    }

    /// The network's base number of channels (Anam-Net's is 64).
    ///
    /// ```
    /// use niello_codegen::recipe::Recipe;
    ///
    /// let narrow = Recipe::new("anam_net").width(8).seeded();
    /// assert_eq!(narrow.width, Some(8));
    /// ```
    #[must_use]
    pub fn width(mut self, channels: usize) -> Self {
        self.width = Some(channels);
        self
    }

    /// The linker section of the weights, e.g. of an external flash.
    ///
    /// ```
    /// use niello_codegen::recipe::Recipe;
    ///
    /// Recipe::new("anam_net").weights_section(".ext_flash").validate().unwrap();
    /// assert!(Recipe::new("anam_net").weights_section("ext flash").validate().is_err());
    /// ```
    #[must_use]
    pub fn weights_section(mut self, name: impl Into<String>) -> Self {
        self.target.weights_section = Some(name.into());
        self
    }

    /// The linker section of the arena, e.g. of tightly coupled memory or external RAM: generated code then has a static
    /// `ARENA` there, for `infer_in`.
    ///
    /// ```
    /// use niello_codegen::recipe::Recipe;
    ///
    /// let recipe = Recipe::new("anam_net").arena_section(".dtcm");
    /// assert_eq!(recipe.target.arena_section.as_deref(), Some(".dtcm"));
    /// ```
    #[must_use]
    pub fn arena_section(mut self, name: impl Into<String>) -> Self {
        self.target.arena_section = Some(name.into());
        self
    }

    /// Threads that each layer may be shared out among (`niello_kernels::threads::set` says how many are used): the arena has
    /// scratch for each.
    ///
    /// ```
    /// use niello_codegen::recipe::Recipe;
    ///
    /// Recipe::new("anam_net").threads(4).validate().unwrap();
    /// assert!(Recipe::new("anam_net").threads(0).validate().is_err());
    /// ```
    #[must_use]
    pub fn threads(mut self, count: usize) -> Self {
        self.target.threads = Some(count);
        self
    }

    /// A tuning file, as `niello tune` writes it.
    ///
    /// ```
    /// use niello_codegen::recipe::Recipe;
    ///
    /// let recipe = Recipe::new("anam_net").tuning("pi4.tuning.toml").base_dir("models");
    /// assert_eq!(recipe.files(), [std::path::Path::new("models/pi4.tuning.toml")]);
    /// ```
    #[must_use]
    pub fn tuning(mut self, path: impl Into<PathBuf>) -> Self {
        self.target.tuning = Some(path.into());
        self
    }

    /// The calibration lock, as `niello calibrate` writes it.
    ///
    /// ```
    /// use niello_codegen::recipe::Recipe;
    /// use std::path::Path;
    ///
    /// let recipe = Recipe::new("anam_net").lock("anam_net.lock").base_dir("models");
    /// assert_eq!(recipe.lock_path().unwrap(), Path::new("models/anam_net.lock"));
    /// ```
    #[must_use]
    pub fn lock(mut self, path: impl Into<PathBuf>) -> Self {
        self.calibrate.lock = Some(path.into());
        self
    }

    /// Class names, in the order of the outputs.
    ///
    /// ```
    /// use niello_codegen::recipe::Recipe;
    ///
    /// let recipe = Recipe::new("anam_net").classes(["background", "abnormal", "normal"]);
    /// assert_eq!(recipe.classes[2], "normal");
    /// ```
    #[must_use]
    pub fn classes(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.classes = names.into_iter().map(Into::into).collect();
        self
    }

    /// Height and width of the input.
    ///
    /// ```
    /// use niello_codegen::recipe::Recipe;
    ///
    /// let recipe = Recipe::new("anam_net").input_size(256, 320);
    /// assert_eq!(recipe.input.size, Some([256, 320]));
    /// ```
    #[must_use]
    pub fn input_size(mut self, height: usize, width: usize) -> Self {
        self.input.size = Some([height, width]);
        self
    }

    /// Channels of the input.
    ///
    /// ```
    /// use niello_codegen::recipe::Recipe;
    ///
    /// let recipe = Recipe::new("squeezenet1_1").input_channels(1);
    /// assert_eq!(recipe.input.channels, Some(1));
    /// ```
    #[must_use]
    pub fn input_channels(mut self, channels: usize) -> Self {
        self.input.channels = Some(channels);
        self
    }

    /// The pre-processing of images, options included if you like.
    ///
    /// ```
    /// use niello_codegen::recipe::Recipe;
    ///
    /// let recipe = Recipe::new("anam_net").preprocess("window:-600,1500 resize=stretch");
    /// recipe.validate().unwrap();
    /// assert!(Recipe::new("anam_net").preprocess("widow").validate().is_err());
    /// ```
    #[must_use]
    pub fn preprocess(mut self, text: impl Into<String>) -> Self {
        self.input.preprocess = Some(text.into());
        self
    }

    /// How an image is brought to the input's size.
    ///
    /// ```
    /// use niello_codegen::recipe::Recipe;
    ///
    /// Recipe::new("w251_baseline_cnn").preprocess("raw").resize("area").validate().unwrap();
    /// ```
    #[must_use]
    pub fn resize(mut self, mode: impl Into<String>) -> Self {
        self.input.resize = Some(mode.into());
        self
    }

    /// Whether colour is kept: `auto` or `gray`.
    ///
    /// ```
    /// use niello_codegen::recipe::Recipe;
    ///
    /// Recipe::new("squeezenet1_0").colour("gray").validate().unwrap();
    /// ```
    #[must_use]
    pub fn colour(mut self, colour: impl Into<String>) -> Self {
        self.input.colour = Some(colour.into());
        self
    }

    /// Whether black and white are exchanged: `normal` or `inverted`.
    ///
    /// ```
    /// use niello_codegen::recipe::Recipe;
    ///
    /// Recipe::new("anam_net").polarity("inverted").validate().unwrap();
    /// ```
    #[must_use]
    pub fn polarity(mut self, polarity: impl Into<String>) -> Self {
        self.input.polarity = Some(polarity.into());
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
    ///
    /// ```
    /// use niello_codegen::recipe::Recipe;
    /// use std::path::Path;
    ///
    /// let recipe = Recipe::new("anam_net").calibrate_on("calibration/");
    /// assert_eq!(recipe.files(), [Path::new("calibration/")]);
    /// ```
    #[must_use]
    pub fn calibrate_on(mut self, path: impl Into<PathBuf>) -> Self {
        self.calibrate.images = Some([path].into_iter().collect());
        self
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

    /// How the ranges of the activations are chosen.
    ///
    /// ```
    /// use niello_codegen::recipe::{RangeChoice, Recipe};
    ///
    /// let recipe = Recipe::new("anam_net").range(RangeChoice::Mse);
    /// assert_eq!(recipe.calibrate.range, RangeChoice::Mse);
    /// ```
    #[must_use]
    pub fn range(mut self, range: RangeChoice) -> Self {
        self.calibrate.range = range;
        self
    }

    /// The percentile of [`RangeChoice::Percentile`] and [`RangeChoice::Auto`]; above 50, up to 100.
    ///
    /// ```
    /// use niello_codegen::recipe::{RangeChoice, Recipe};
    ///
    /// Recipe::new("anam_net").range(RangeChoice::Percentile).percentile(99.9).validate().unwrap();
    /// ```
    #[must_use]
    pub fn percentile(mut self, percentile: f64) -> Self {
        self.calibrate.percentile = percentile;
        self
    }

    /// Whether biases are corrected for the mean error of rounded weights.
    ///
    /// ```
    /// use niello_codegen::recipe::Recipe;
    ///
    /// assert!(Recipe::new("anam_net").calibrate.bias_correction);
    /// assert!(!Recipe::new("anam_net").bias_correction(false).calibrate.bias_correction);
    /// ```
    #[must_use]
    pub fn bias_correction(mut self, on: bool) -> Self {
        self.calibrate.bias_correction = on;
        self
    }

    /// The operator behind the last layer.
    ///
    /// ```
    /// use niello_codegen::recipe::{Head, Recipe};
    ///
    /// let recipe = Recipe::new("anam_net").head(Head::Argmax);
    /// assert_eq!(recipe.output.head, Head::Argmax);
    /// ```
    #[must_use]
    pub fn head(mut self, head: Head) -> Self {
        self.output.head = head;
        self
    }

    /// Makes the class-activation map of all classes another output: the contribution of each place of the image to each score. Only for
    /// networks that end in the mean over a map and a linear layer, or in the mean (see [`crate::passes::cam`]).
    ///
    /// ```
    /// use niello_codegen::recipe::Recipe;
    ///
    /// assert!(Recipe::new("squeezenet1_1").cam().output.cam);
    /// ```
    #[must_use]
    pub fn cam(mut self) -> Self {
        self.output.cam = true;
        self
    }

    /// The number format.
    ///
    /// ```
    /// use niello_codegen::recipe::{NumberFormat, Recipe};
    ///
    /// let recipe = Recipe::new("anam_net").numbers(NumberFormat::Int8);
    /// assert_eq!(recipe.format.numbers.name(), "int8");
    /// ```
    #[must_use]
    pub fn numbers(mut self, numbers: NumberFormat) -> Self {
        self.format.numbers = numbers;
        self
    }

    /// The rounding of requantisation.
    ///
    /// ```
    /// use niello_codegen::recipe::{Recipe, Rounding};
    ///
    /// let recipe = Recipe::new("anam_net").rounding(Rounding::Single);
    /// assert_eq!(recipe.format.rounding.name(), "single");
    /// ```
    #[must_use]
    pub fn rounding(mut self, rounding: Rounding) -> Self {
        self.format.rounding = rounding;
        self
    }

    /// One more layer whose result has 16 bits.
    ///
    /// ```
    /// use niello_codegen::recipe::Recipe;
    ///
    /// let recipe = Recipe::new("anam_net").int16("bottleneck1");
    /// assert_eq!(recipe.format.int16, ["bottleneck1"]);
    /// ```
    #[must_use]
    pub fn int16(mut self, layer: impl Into<String>) -> Self {
        self.format.int16.push(layer.into());
        self
    }

    /// Lets a layer of an int8 network compute in half precision in memory and single precision in between.
    ///
    /// ```
    /// use niello_codegen::recipe::Recipe;
    ///
    /// let recipe = Recipe::new("anam_net").f16("conv_final");
    /// assert_eq!(recipe.format.f16, ["conv_final"]);
    /// ```
    #[must_use]
    pub fn f16(mut self, layer: impl Into<String>) -> Self {
        self.format.f16.push(layer.into());
        self
    }

    /// One more layer whose weights have 16 bits.
    ///
    /// ```
    /// use niello_codegen::recipe::Recipe;
    ///
    /// let recipe = Recipe::new("anam_net").int16_weights("conv_final");
    /// assert_eq!(recipe.format.int16_weights, ["conv_final"]);
    /// ```
    #[must_use]
    pub fn int16_weights(mut self, layer: impl Into<String>) -> Self {
        self.format.int16_weights.push(layer.into());
        self
    }

    /// The SQNR that the first output must reach, in decibels: layers get 16 bits until it does.
    ///
    /// ```
    /// use niello_codegen::recipe::Recipe;
    ///
    /// let recipe = Recipe::new("anam_net").min_sqnr_db(30.0);
    /// assert_eq!(recipe.format.min_sqnr_db, Some(30.0));
    /// ```
    #[must_use]
    pub fn min_sqnr_db(mut self, decibels: f64) -> Self {
        self.format.min_sqnr_db = Some(decibels);
        self
    }

    /// The machine to build for.
    ///
    /// ```
    /// use niello_codegen::recipe::Recipe;
    ///
    /// let recipe = Recipe::new("anam_net").target("portable");
    /// assert_eq!(recipe.target.name, "portable");
    /// ```
    #[must_use]
    pub fn target(mut self, name: impl Into<String>) -> Self {
        self.target.name = name.into();
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
    ///
    /// ```
    /// use niello_codegen::recipe::Recipe;
    /// use std::path::Path;
    ///
    /// let recipe = Recipe::new("anam_net").weights("w.safetensors").base_dir("assets");
    /// assert_eq!(recipe.weights_path().unwrap(), Path::new("assets/w.safetensors"));
    /// ```
    #[must_use]
    pub fn base_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.base_dir = dir.into();
        self
    }
}
