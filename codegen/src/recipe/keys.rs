//! Every key of a recipe, one row each: its field, its flag and its method of [`Recipe`] come from there.

use super::{
    Head, Images, Key, NameOrFile, NumberFormat, RangeChoice, RangeOverride, Reference, Rounding,
    input::size, setting::Setting,
};
use crate::lower::AUTO;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

/// A section of recipes, after its prefix of keys, its place in a recipe, and the name of the list of its keys. A row is
///
/// ```text
/// /// Help of the flag, a paragraph. Further paragraphs are for users of Rust.
/// #[serde(…)]
/// field as "name-in-toml": Type = default, method(ARGUMENT), "flag" "VALUE-IN-HELP";
/// ```
///
/// The attribute, the name, the default and the method may be missing. A method has one argument, `method(Type)` or `method(into Type)`; `method()`
/// says `true`, and `method(push)` adds a text to a list. Fields behind `and` are no keys.
///
/// What is written of a recipe is part of calibration locks (`pins`): a new key is left out while it is as by default (`skip_serializing_if`;
/// `None` always is).
macro_rules! section {
    (
        $(#[$meta:meta])* $Section:ident $prefix:literal $place:tt $KEYS:ident {$(
            $(#[doc = $doc:literal])*
            $(#[serde $serde:tt])?
            $field:ident $(as $name:literal)?: $ty:ty $(= $default:expr)?, $($method:ident $argument:tt,)? $flag:literal $value:literal;
        )*}
        and {$($(#[$other_meta:meta])* $other:ident: $other_ty:ty,)*}
    ) => {
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        $(#[$meta])*
        #[serde(deny_unknown_fields)]
        #[non_exhaustive]
        pub struct $Section {
            $($(#[doc = $doc])* $(#[serde $serde])? $(#[serde(rename = $name)])? pub $field: $ty,)*
            $($(#[$other_meta])* pub $other: $other_ty,)*
        }

        impl Default for $Section {
            fn default() -> Self {
                Self {
                    $($field: default!($($default)?),)*
                    $($other: Default::default(),)*
                }
            }
        }

        impl Recipe {
            $(method! {
                [$(#[doc = $doc])* #[doc = concat!("\n\nThe key `", path!($prefix $field $($name)?), "`, the flag `--", $flag, "`.")]]
                $place $field $($method $argument)?
            })*
        }

        const $KEYS: &[Key] = &[$(key!([$($doc)*] $place $field $ty, path!($prefix $field $($name)?), $flag, $value)),*];
    };
}

macro_rules! default {
    () => {
        Default::default()
    };
    ($default:expr) => {
        $default
    };
}

macro_rules! path {
    ($prefix:literal $field:ident) => {
        concat!($prefix, stringify!($field))
    };
    ($prefix:literal $field:ident $name:literal) => {
        concat!($prefix, $name)
    };
}

macro_rules! method {
    ($docs:tt $place:tt $field:ident) => {};
    ($docs:tt $place:tt $field:ident $method:ident ()) => {
        method! { @$docs $place $field $method[self][] = true }
    };
    ($docs:tt $place:tt $field:ident $method:ident (push)) => {
        method! { @$docs $place $field $method[self][text: impl Into<String>] .push(text.into()) }
    };
    ($docs:tt $place:tt $field:ident $method:ident (into $ty:ty)) => {
        method! { @$docs $place $field $method[self][value: impl Into<$ty>] = Into::<$ty>::into(value).into() }
    };
    ($docs:tt $place:tt $field:ident $method:ident ($ty:ty)) => {
        method! { @$docs $place $field $method[self][value: $ty] = value.into() }
    };
    (@[$($docs:tt)*] [$($place:tt)*] $field:ident $method:ident[$self:ident][$($argument:tt)*] $($set:tt)*) => {
        $($docs)*
        #[must_use]
        pub fn $method(mut $self, $($argument)*) -> Self {
            $self $($place)* .$field $($set)*;
            $self
        }
    };
}

macro_rules! key {
    ([$($doc:literal)*] [$($place:tt)*] $field:ident $ty:ty, $path:expr, $flag:literal, $value:literal) => {
        Key {
            path: $path,
            flag: $flag,
            value: $value,
            many: <$ty as Setting>::MANY,
            file: <$ty as Setting>::FILE,
            docs: concat!($($doc, "\n"),*),
            set: |recipe, value, here| Setting::set(&mut recipe $($place)* .$field, value, here),
            files: |recipe| Setting::files(&mut recipe $($place)* .$field),
        }
    };
}

section! {
    /// A build: the network, its weights, and all choices. There will be further keys.
    Recipe "" [] ROOT {
        /// Network (`niello models` lists them), or a model file: .tflite, .onnx.
        network: NameOrFile, "model" "NAME|FILE";
        /// Weights; absent: those that come with the network.
        ///
        /// A safetensors file, or the index of a sharded checkpoint, relative to the recipe's folder.
        weights: Option<PathBuf>, weights(into PathBuf), "weights" "SAFETENSORS";
        /// Weights from a seed instead of a file, calibrated on seeded inputs: for sizes, speed and bits.
        ///
        /// No training changes those. Without a calibration set, two seeded inputs are one.
        #[serde(default, skip_serializing_if = "is_default")]
        seeded: bool, seeded(), "seeded" "";
        /// The network's base number of channels, where it has one (Anam-Net: 64).
        width: Option<usize>, width(usize), "width" "N";
        /// Class names in the order of the outputs, comma-separated; or only their count: then the network's own names,
        /// where it has as many.
        ///
        /// Empty: the network's own.
        #[serde(default, skip_serializing_if = "is_default")]
        classes: Vec<String>, "classes" "N|A,B,..";
    }
    and {
        /// The input and how images become it.
        #[serde(default, skip_serializing_if = "is_default")]
        input: Input,
        /// How the ranges of the activations are found.
        #[serde(default, skip_serializing_if = "is_default")]
        calibrate: Calibrate,
        /// The outputs.
        #[serde(default, skip_serializing_if = "is_default")]
        output: Output,
        /// The arithmetic.
        #[serde(default, skip_serializing_if = "is_default")]
        format: Format,
        /// The machine to build for.
        #[serde(default, skip_serializing_if = "is_default")]
        target: Target,
        /// Ranges of single tensors, by layer name.
        #[serde(default, skip_serializing_if = "is_default")]
        overrides: BTreeMap<String, RangeOverride>,
        /// The folder that paths are relative to; empty: the current one.
        #[serde(skip)]
        base_dir: PathBuf,
        /// The file that it was read from: its calibration lock lies beside it.
        #[serde(skip)]
        file: Option<PathBuf>,
        /// Whether builds calibrate although there is a lock.
        #[serde(skip)]
        recalibrate: bool,
    }
}

section! {
    /// `[input]`. The pre-processing's options may stand in its text or as keys of their own.
    #[serde(default)]
    Input "input." [.input] INPUT {
        /// Height and width of the input.
        #[serde(deserialize_with = "size")]
        size: Option<[usize; 2]>, "input" "HxW";
        /// Channels of the input.
        channels: Option<usize>, input_channels(usize), "channels" "N";
        /// How images become inputs: imagenet, unit, raw, window:CENTRE,WIDTH, hu:OFFSET, minmax, .., and options, e.g.
        /// "unit resize=stretch" (docs/recipes.md); absent: the network's usual way.
        preprocess: Option<String>, preprocess(into String), "preprocess" "TEXT";
        /// How images get the input's size: none, stretch, area, shorter-side-crop, shorter-side-crop:RATIO.
        resize: Option<String>, resize(into String), "resize" "MODE";
        /// auto, or gray for networks of three channels too.
        colour: Option<String>, colour(into String), "colour" "MODE";
        /// normal, or inverted for images that show air white.
        polarity: Option<String>, polarity(into String), "polarity" "MODE";
        /// Hounsfield units to 8 bits before everything else.
        window: Option<String>, "window" "CENTRE,WIDTH";
    }
    and {}
}

section! {
    /// `[calibrate]`: the inputs and the rule that the ranges of activations are found with.
    #[serde(default)]
    Calibrate "calibrate." [.calibrate] CALIBRATE {
        /// Images (folder or file; may be repeated) or a safetensors file of inputs that ranges are found on; absent: the
        /// images that come with bundled weights.
        images: Option<Images>, "calibrate" "PATH";
        /// Calibration lock, as `niello calibrate` writes it; absent: the one beside the recipe, if there is one.
        lock: Option<PathBuf>, lock(into PathBuf), "lock" "FILE";
        /// How ranges are chosen: auto, minmax, percentile, mse.
        range: RangeChoice, range(RangeChoice), "range" "RULE";
        /// Percentile of the rule of that name and of the candidates of auto, above 50 and up to 100.
        percentile: f64 = 99.99, percentile(f64), "percentile" "P";
        /// Whether biases make up for the rounding of weights.
        bias_correction: bool = true, bias_correction(bool), "bias-correction" "true|false";
    }
    and {}
}

const OVERRIDES: &[Key] = &[key!(
    ["Another rule for one layer, or its range: LAYER=minmax, LAYER=percentile:99.9, LAYER=MIN,MAX (may be repeated)"]
    [] overrides BTreeMap<String, RangeOverride>, "overrides", "override", "LAYER=RANGE"
)];

section! {
    /// `[output]`
    #[serde(default)]
    Output "output." [.output] OUTPUT {
        /// Operator behind the last layer: logits, argmax, softmax, sigmoid.
        head: Head, head(Head), "head" "HEAD";
        /// Makes the class-activation map of all classes another output.
        ///
        /// It is the contribution of each place of the image to each score. Only for networks that end in the mean over a map and a linear layer,
        /// or in the mean (see [`crate::passes::cam`]).
        #[serde(skip_serializing_if = "is_default")]
        cam: bool, cam(), "cam-output" "";
    }
    and {}
}

section! {
    /// `[format]`
    #[serde(default)]
    Format "format." [.format] FORMAT {
        /// Number format: int8, f16, f16-native, f16-winograd, f32.
        numbers: NumberFormat, numbers(NumberFormat), "format" "FORMAT";
        /// Layer that computes in f16 (may be repeated).
        ///
        /// Half precision in memory, single precision in between.
        #[serde(skip_serializing_if = "is_default")]
        f16: Vec<String>, f16(push), "f16" "LAYER";
        /// Layer that computes in f16-native (may be repeated).
        #[serde(skip_serializing_if = "is_default")]
        f16_native as "f16-native": Vec<String>, f16_native(push), "f16-native" "LAYER";
        /// Layer that computes in f16-winograd (may be repeated).
        #[serde(skip_serializing_if = "is_default")]
        f16_winograd as "f16-winograd": Vec<String>, f16_winograd(push), "f16-winograd" "LAYER";
        /// Layer that computes in f32 (may be repeated).
        #[serde(skip_serializing_if = "is_default")]
        f32: Vec<String>, f32(push), "f32" "LAYER";
        /// Rounding of requantisation: tflite-double, single, float-even.
        rounding: Rounding, rounding(Rounding), "rounding" "MODE";
        /// Whose kernels a quantised model file is computed like: litert, tflm, tflm-interpreter, onnxruntime.
        reference: Option<Reference>, reference(Reference), "reference" "NAME";
        /// Layer whose result has 16 bits (may be repeated).
        #[serde(skip_serializing_if = "is_default")]
        int16: Vec<String>, int16(push), "int16" "LAYER";
        /// Layer whose weights have 16 bits (may be repeated).
        #[serde(skip_serializing_if = "is_default")]
        int16_weights as "int16-weights": Vec<String>, int16_weights(push), "int16-weights" "LAYER";
        /// SQNR that the output must reach on the calibration set, in decibels: layers get 16 bits until it does.
        ///
        /// That of the first output; results and weights get 16 bits.
        min_sqnr_db as "min-sqnr-db": Option<f64>, min_sqnr_db(f64), "min-sqnr-db" "DB";
    }
    and {}
}

section! {
    /// `[target]`
    #[serde(default)]
    Target "target." [.target] TARGET {
        /// Target that weights are packed for: auto (the board's, else host), host (the best of this machine).
        ///
        /// Or the name of one, e.g. `portable`. In a build script, `auto` without a board is the machine that cargo builds for.
        name: String = AUTO.into(), target(into String), "target" "NAME";
        /// Board that the model must fit: a board.toml, or a name (docs/adding-a-board.md).
        board: Option<NameOrFile>, on_board(into NameOrFile), "board" "NAME|FILE";
        /// Linker section of the weights, e.g. of an external flash; absent: as the board places them.
        ///
        /// Without a board, `.rodata`.
        weights_section as "weights-section": Option<String>, weights_section(into String), "weights-section" ".NAME";
        /// Linker section of a static arena, e.g. of tightly coupled memory; absent: as the board places it.
        ///
        /// Generated code then has a static `ARENA` there, for `infer_in`; without a section, the model owns its arena.
        arena_section as "arena-section": Option<String>, arena_section(into String), "arena-section" ".NAME";
        /// Threads that each layer is shared out among.
        ///
        /// The arena has scratch for each; `niello_kernels::threads::set` says how many are used. Absent: 1.
        threads: Option<usize>, threads(usize), "threads" "N";
        /// Tuning file: choices that `niello tune` found (docs/tuning.md).
        tuning: Option<PathBuf>, tuning(into PathBuf), "tuning" "FILE";
    }
    and {
        /// Names and texts of the boards that need no file.
        #[serde(skip)]
        known_boards: &'static [(&'static str, &'static str)],
    }
}

impl Recipe {
    /// Every key, in the order of flags in help.
    pub fn keys() -> impl Iterator<Item = &'static Key> {
        [ROOT, INPUT, CALIBRATE, OVERRIDES, OUTPUT, FORMAT, TARGET].into_iter().flatten()
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
