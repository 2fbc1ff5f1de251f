//! Layers that cannot be are errors that name the layer, however they are wrong: kernels, steps and groups of 0, sizes that overflow, tensors
//! that hold what they may not.

mod common;

use niello_codegen::{
    Graph, GraphBuilder, Result, Shape, ValueId,
    format::Mode,
    lower::{Target, lower},
    ops::{
        AveragePool2d, BatchNormParams, ConvParams, MaxPool2d, MaxPosition2d, MaxUnpool2d, PadChannels,
        Resize, ResizeMode, ShuffleChannels, SliceChannels, TransposedConvParams,
    },
    precision::float,
    program::Metadata,
    weights::{Request, Seeded, WeightSource},
};

fn built(build: impl FnOnce(&mut GraphBuilder<'_>, ValueId) -> ValueId) -> Result<Graph> {
    let mut weights = Seeded::new();
    let mut b = GraphBuilder::new("test", &mut weights);
    let x = b.input("input", Shape::new(8, 6, 4));
    let y = build(&mut b, x);
    b.finish(&[y])
}

#[track_caller]
fn refused(what: &str, build: impl FnOnce(&mut GraphBuilder<'_>, ValueId) -> ValueId) {
    let message = built(build).expect_err(what).to_string();
    assert!(message.contains("layer"), "{what}: {message}");
    assert!(!message.contains("bug"), "{what}: {message}");
}

/// What no size may be.
const BAD: [usize; 4] = [0, 1 << 31, 1 << 40, usize::MAX];

#[test]
fn convolutions() {
    let good = ConvParams::new(8, 3).padding(1);
    assert!(built(|b, x| b.conv2d("layer", x, good)).is_ok());
    for bad in BAD {
        for axis in 0..2 {
            let with = |change: fn(&mut ConvParams, usize, usize)| {
                let mut p = good;
                change(&mut p, axis, bad);
                p
            };
            let changes: [fn(&mut ConvParams, usize, usize); 3] =
                [|p, i, v| p.kernel[i] = v, |p, i, v| p.stride[i] = v, |p, i, v| p.dilation[i] = v];
            for (what, change) in ["kernel", "stride", "dilation"].into_iter().zip(changes) {
                // A step beyond the image is one, of which there is nothing to go to.
                if bad != 1 << 31 || what != "stride" {
                    let p = with(change);
                    if what == "kernel" && bad > 0 {
                        assert!(built(|b, x| b.conv2d("layer", x, p)).is_err(), "{what} {bad}");
                    } else {
                        refused(&format!("{what} {bad}"), |b, x| b.conv2d("layer", x, p));
                    }
                }
            }
        }
        refused(&format!("groups {bad}"), |b, x| b.conv2d("layer", x, good.groups(bad)));
    }
    refused("padding", |b, x| b.conv2d("layer", x, good.padding(usize::MAX)));
    refused("no channels", |b, x| b.conv2d("layer", x, ConvParams { out: 0, ..good }));
    let same = ConvParams::new(4, usize::MAX).dilation(usize::MAX).stride(0).same([8, 6]);
    assert!(built(|b, x| b.conv2d("layer", x, same)).is_err());
}

#[test]
fn transposed_convolutions() {
    let good = TransposedConvParams::new(8, 3, 2);
    assert!(built(|b, x| b.transposed_conv2d("layer", x, good)).is_ok());
    for axis in 0..2 {
        let with = |kernel: usize, stride: usize, more: usize| {
            let mut p = good;
            (p.kernel[axis], p.stride[axis], p.output_padding[axis]) = (kernel, stride, more);
            p
        };
        for (what, p) in [
            ("kernel 0", with(0, 2, 0)),
            ("stride 0", with(3, 0, 0)),
            ("stride that overflows", with(3, usize::MAX, 0)),
            ("padding that overflows", with(3, 2, usize::MAX)),
            ("too many pixels", with(3, 1 << 40, 0)),
            ("all cropped", with(3, 2, 0).padding(100)),
            ("cropping that overflows", with(3, 2, 0).padding(usize::MAX)),
            ("no channels", TransposedConvParams { out: 0, ..good }),
        ] {
            refused(what, |b, x| b.transposed_conv2d("layer", x, p));
        }
    }
}

#[test]
fn windows_and_the_rest() {
    for bad in BAD {
        for [kernel, stride] in [[bad, 1], [2, bad]] {
            if kernel == 2 && bad == 1 << 31 {
                continue;
            }
            let what = format!("kernel {kernel}, stride {stride}");
            refused(&what, |b, x| b.add_op("layer", MaxPool2d::new(kernel, stride), &[x]));
            refused(&what, |b, x| b.add_op("layer", AveragePool2d::new(kernel, stride), &[x]));
            let pool = MaxPool2d::new(kernel, stride);
            refused(&what, |b, x| b.add_op("layer", MaxPosition2d { pool }, &[x]));
        }
        refused("unpool", |b, x| {
            b.add_op("layer", MaxUnpool2d { kernel: [bad, 2], size: [16, 12] }, &[x, x])
        });
        refused("groups", |b, x| b.add_op("layer", ShuffleChannels { groups: bad }, &[x]));
        refused("count", |b, x| b.add_op("layer", SliceChannels { first: 1, count: bad }, &[x]));
        for mode in [ResizeMode::Nearest, ResizeMode::Bilinear, ResizeMode::BilinearAligned] {
            refused("resize", |b, x| b.add_op("layer", Resize { size: [bad, 4], mode }, &[x]));
        }
        refused("reshape", |b, x| b.reshape("layer", x, Shape::new(bad, 1, 1)));
    }
    refused("more channels", |b, x| b.add_op("layer", PadChannels { more: usize::MAX }, &[x]));
    refused("reshape of nothing", |b, x| b.reshape("layer", x, Shape::new(0, 0, 0)));
    refused("heads", |b, x| b.add_op("layer", MaxPool2d::new(2, 2), &[x, x]));
    refused("concat", |b, x| {
        let small = b.max_pool("small", x, 2, 2, false);
        b.concat("layer", &[x, small])
    });
}

#[test]
fn inputs_of_nothing_or_too_much() {
    for shape in
        [Shape::new(0, 4, 3), Shape::new(4, 0, 3), Shape::new(4, 4, 0), Shape::new(1 << 16, 1 << 16, 1)]
    {
        let mut weights = Seeded::new();
        let mut b = GraphBuilder::new("test", &mut weights);
        let x = b.input("layer", shape);
        let y = b.relu("relu", x);
        let message = b.finish(&[y]).unwrap_err().to_string();
        assert!(message.contains("layer `layer` (Input): a tensor of"), "{message}");
    }
}

/// Seeded tensors, but for one value.
struct Damaged(Seeded, &'static str, f32);

impl WeightSource for Damaged {
    fn describe(&self) -> String {
        "damaged".into()
    }

    fn load(&mut self, request: &Request<'_>) -> Result<Vec<f32>, String> {
        let mut data = self.0.load(request)?;
        if request.name == self.1 {
            data[1] = self.2;
        }
        Ok(data)
    }
}

#[test]
fn a_tensor_of_more_than_2_gib_is_named() {
    let mut weights = Seeded::new();
    let mut b = GraphBuilder::new("test", &mut weights);
    // One byte more than an offset counts, in single precision.
    let x = b.input("input", Shape::new(1 << 15, 1 << 14, 1));
    let y = b.add_op("layer", SliceChannels { first: 0, count: 1 }, &[x]);
    let graph = b.finish(&[y]).unwrap();
    let lowered = |mode| {
        let q = float::everywhere(graph.clone(), mode);
        lower(&q, Target::find("portable").unwrap(), Metadata::default())
    };
    assert!(lowered(Mode::F16).is_ok());
    let message = lowered(Mode::F32).unwrap_err().to_string();
    assert!(message.contains("`input` has 2147483648 bytes as f32"), "{message}");
}

#[test]
fn tensors_that_hold_what_they_may_not_are_named() {
    for (tensor, value, epsilon, expected) in [
        (
            "norm.running_var",
            -5.0,
            1e-5,
            "`norm.running_var`: holds -5 for channel 1, expected variances of 0 or more",
        ),
        ("norm.running_var", f32::NAN, 1e-5, "`norm.running_var`: holds NaN, expected finite"),
        ("norm.running_var", -1e-5, 1e-5, "`norm.running_var`: holds -0.00001 for channel 1"),
        ("norm.weight", f32::INFINITY, 1e-5, "`norm.weight`: holds inf"),
        ("norm.running_var", 0.0, 1e-90, "`norm.weight`: beyond single precision for channel 1"),
        ("conv.weight", f32::NEG_INFINITY, 1e-5, "`conv.weight`: holds -inf"),
        ("conv.bias", f32::NAN, 1e-5, "`conv.bias`: holds NaN"),
        ("prelu.weight", f32::NAN, 1e-5, "`prelu.weight`: holds NaN"),
    ] {
        let mut weights = Damaged(Seeded::new(), tensor, value);
        let mut b = GraphBuilder::new("test", &mut weights);
        let x = b.input("input", Shape::new(4, 4, 3));
        let x = b.conv2d("conv", x, ConvParams::new(4, 3));
        let x = b.batch_norm("norm", x, BatchNormParams { epsilon });
        let x = b.prelu("prelu", x, 4);
        let message = b.finish(&[x]).unwrap_err().to_string();
        assert!(message.contains(expected), "{tensor} = {value}: {message}");
    }
}
