//! Resizing to a given height and width.

use super::{
    Backward, Index, Op, RangeRule, forward_eval,
    sampling::{Axis, Interpolation, Sampling},
};
use crate::{
    error::Result,
    format::Mode,
    lower::Lowering,
    program::{Const, In, Out, kernel_call},
    tensor::{Real, Shape, Tensor},
};
use niello_kernels::{Float, resize::Corners};

/// How new pixels come from old ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ResizeMode {
    /// PyTorch's `nearest`.
    Nearest,
    /// PyTorch's `nearest-exact`, TensorFlow Lite's with `half_pixel_centers`.
    NearestHalfPixel,
    /// TensorFlow Lite's nearest neighbour with `align_corners`.
    NearestAligned,
    /// PyTorch's `bilinear` with `align_corners=False`.
    Bilinear,
    /// PyTorch's `bilinear` with `align_corners=True`.
    BilinearAligned,
    /// TensorFlow Lite's bilinear with neither option: output pixel `o` lies at `o * size / out`.
    BilinearAsymmetric,
    /// As ONNX's `Resize`.
    Sampled(Sampling),
}

/// Interpolation to `size`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resize {
    /// Height, width.
    pub size: [usize; 2],
    /// How.
    pub mode: ResizeMode,
}

impl Resize {
    /// As ONNX's `Resize` does it to an image of `from`; where one of the plain modes takes the same pixels with the same weights, in that.
    pub fn sampled(from: Shape, size: [usize; 2], sampling: Sampling) -> Self {
        let sampled = Self { size, mode: ResizeMode::Sampled(sampling) };
        if sampled.output_shapes(&[from]).is_err() {
            return sampled;
        }
        let plain = [
            ResizeMode::Nearest,
            ResizeMode::Bilinear,
            ResizeMode::BilinearAligned,
            ResizeMode::BilinearAsymmetric,
        ];
        let axes = sampled.axes(from);
        let plain = plain.into_iter().map(|mode| Self { size, mode });
        let is_near = |plain: &Self| plain.axes(from).iter().zip(&axes).all(|(a, b)| a.is_near(b));
        plain.into_iter().find(is_near).unwrap_or(sampled)
    }

    /// How positions are computed, by kernels that interpolate without tables.
    fn corners(&self) -> Option<Corners> {
        match self.mode {
            ResizeMode::Bilinear => Some(Corners::HalfPixel),
            ResizeMode::BilinearAligned => Some(Corners::Aligned),
            ResizeMode::BilinearAsymmetric => Some(Corners::Asymmetric),
            _ => None,
        }
    }

    /// Whether values are computed, and not only taken.
    fn interpolates(&self) -> bool {
        match self.mode {
            ResizeMode::Nearest | ResizeMode::NearestHalfPixel | ResizeMode::NearestAligned => false,
            ResizeMode::Sampled(sampling) => !matches!(sampling.interpolation, Interpolation::Nearest(_)),
            _ => true,
        }
    }

    /// Where no values are computed: the pixels that are taken.
    fn picked(&self, cx: &Lowering<'_>) -> Index {
        let [rows, columns] = self.axes(cx.graph().shape(cx.node().inputs[0]));
        let indices = |axis: Axis| Some(axis.pixels.iter().map(|pixel| *pixel as i32).collect());
        Index { rows: indices(rows), columns: indices(columns), ..Index::NONE }
    }

    /// Rows and columns.
    fn axes(&self, from: Shape) -> [Axis; 2] {
        [self.axis(0, from.h), self.axis(1, from.w)]
    }

    fn axis(&self, i: usize, size: usize) -> Axis {
        let out = self.size[i];
        let last = (size - 1) as f64;
        // Quotient and product in single precision, as PyTorch and TensorFlow Lite have them: for 14 pixels to 46 the exact position of
        // output 23 is 7, and theirs is 6.
        let step = size as f32 / out as f32;
        let picked = |pixel: &dyn Fn(f32) -> f32| {
            Axis::picked((0..out).map(|o| (pixel(o as f32) as usize).min(size - 1)).collect())
        };
        match self.mode {
            ResizeMode::Nearest => picked(&|o| o * step),
            ResizeMode::NearestHalfPixel => picked(&|o| (o + 0.5) * step),
            ResizeMode::NearestAligned if out == 1 => picked(&|o| o),
            ResizeMode::NearestAligned => {
                let step = (size - 1) as f32 / (out - 1) as f32;
                picked(&|o| (o * step).round())
            }
            ResizeMode::Bilinear => {
                let at = |o| ((o as f64 + 0.5) * size as f64 / out as f64 - 0.5).max(0.0);
                Axis::linear(size, (0..out).map(at))
            }
            ResizeMode::BilinearAligned if out == 1 => Axis::linear(size, std::iter::once(0.0)),
            ResizeMode::BilinearAligned => {
                Axis::linear(size, (0..out).map(|o| o as f64 * last / (out - 1) as f64))
            }
            ResizeMode::BilinearAsymmetric => {
                Axis::linear(size, (0..out).map(|o| (o as f64 * size as f64 / out as f64).min(last)))
            }
            ResizeMode::Sampled(sampling) => sampling.axis(i, size, out),
        }
    }

    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let (input, s) = (inputs[0], inputs[0].shape);
        let shape = Shape::new(self.size[0], self.size[1], s.c);
        let mut out = Tensor::filled(shape, T::default());
        let [rows, columns] = self.axes(s);
        for oy in 0..shape.h {
            for ox in 0..shape.w {
                let of_row = |(y, v)| columns.of(ox).map(move |(x, w)| (input.pixel(y, x), v * w));
                let pixels: Vec<_> = rows.of(oy).flat_map(of_row).collect();
                for (c, value) in out.pixel_mut(oy, ox).iter_mut().enumerate() {
                    *value = pixels.iter().map(|(p, w)| p[c] * T::from_f64(*w)).sum();
                }
            }
        }
        out
    }
}

kernel_call! {
    /// Nearest neighbour.
    ResizeNearestCall for ResizeNearest {
        input: In,
        output: Out,
    }
}

kernel_call! {
    /// Bilinear.
    ResizeBilinearCall for ResizeBilinear {
        input: In,
        output: Out,
        corners: Corners,
    }
}

kernel_call! {
    /// Bilinear resizing in floating point.
    ResizeBilinearFloatCall for ResizeBilinearFloat {
        input: In,
        output: Out,
        types: [Float; 2],
        corners: Corners,
    }
}

kernel_call! {
    /// Bilinear resizing of 16 bits.
    ResizeBilinearInt16Call for ResizeBilinearInt16 {
        input: In,
        output: Out,
        corners: Corners,
    }
}

kernel_call! {
    /// By tables.
    InterpolateCall for Interpolate {
        input: In,
        output: Out,
        taps: [u32; 2],
        rows: Const<i32>,
        columns: Const<i32>,
        row_weights: Const<i32>,
        column_weights: Const<i32>,
    }
}

kernel_call! {
    /// By tables, in floating point.
    InterpolateFloatCall for InterpolateFloat {
        input: In,
        output: Out,
        types: [Float; 2],
        taps: [u32; 2],
        rows: Const<i32>,
        columns: Const<i32>,
        row_weights: Const<f32>,
        column_weights: Const<f32>,
    }
}

impl Op for Resize {
    fn kind(&self) -> &'static str {
        "Resize"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        let s = super::only(inputs)?;
        if s.area() == 0 || self.size.contains(&0) || self.size.iter().any(|d| *d > 1 << 15) {
            return Err(format!("cannot resize {s} to {}x{}", self.size[0], self.size[1]));
        }
        if let ResizeMode::Sampled(sampling) = &self.mode {
            sampling.check()?;
        }
        Ok(vec![Shape::new(self.size[0], self.size[1], s.c)])
    }

    forward_eval!();

    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        let mut out = Tensor::filled(at.input().shape, 0.0);
        let [rows, columns] = self.axes(out.shape);
        let [h, w] = self.size;
        for (oy, ox) in (0..h).flat_map(|oy| (0..w).map(move |ox| (oy, ox))) {
            for (y, v) in rows.of(oy) {
                for (x, w) in columns.of(ox) {
                    let pixel = out.pixel_mut(y, x).iter_mut().zip(at.gradient.pixel(oy, ox));
                    pixel.for_each(|(sum, gradient)| *sum += v * w * gradient);
                }
            }
        }
        Some(out)
    }

    fn range_rule(&self) -> RangeRule {
        RangeRule::SameAsInputs
    }

    fn takes_int16(&self) -> bool {
        self.corners().is_some() || !self.interpolates()
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let (from, to) = (In::new(input), Out::new(output));
        if self.mode == ResizeMode::Nearest {
            cx.push(ResizeNearestCall { input: from, output: to });
            return Ok(());
        }
        if !self.interpolates() {
            return self.picked(cx).lower(cx);
        }
        // Labels cannot be mixed.
        cx.codes(input)?;
        if let Some(corners) = self.corners() {
            cx.push(ResizeBilinearCall { input: from, output: to, corners });
            return Ok(());
        }
        let axes = self.axes(cx.graph().shape(input));
        let ([rows, columns], bytes) = places(cx, &axes);
        let [row_weights, column_weights] = [&axes[0], &axes[1]].map(|axis| cx.constant(&axis.in_integers()));
        let taps = [axes[0].taps as u32, axes[1].taps as u32];
        let call =
            InterpolateCall { input: from, output: to, taps, rows, columns, row_weights, column_weights };
        cx.push(call).constant_bytes(bytes);
        Ok(())
    }

    fn lower_int16(&self, cx: &mut Lowering<'_>) -> Result<()> {
        // Bytes are moved: pixels have twice as many.
        let Some(corners) = self.corners() else { return self.lower(cx) };
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        cx.push(ResizeBilinearInt16Call { input: In::new(input), output: Out::new(output), corners });
        Ok(())
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, _: Mode) -> Result<()> {
        if !self.interpolates() {
            // Bytes are moved, whatever they mean.
            return self.lower(cx);
        }
        let (value, result) = (cx.node().inputs[0], cx.node().output());
        let (input, output) = (In::new(value), Out::new(result));
        let types = [cx.float(value)?, cx.float(result)?];
        if let Some(corners) = self.corners() {
            cx.push(ResizeBilinearFloatCall { input, output, types, corners });
            return Ok(());
        }
        let axes = self.axes(cx.graph().shape(value));
        let ([rows, columns], bytes) = places(cx, &axes);
        let single = |axis: &Axis| axis.weights.iter().map(|w| *w as f32).collect::<Vec<_>>();
        let [row_weights, column_weights] = [&axes[0], &axes[1]].map(|axis| cx.constant(&single(axis)));
        let taps = [axes[0].taps as u32, axes[1].taps as u32];
        let call =
            InterpolateFloatCall { input, output, types, taps, rows, columns, row_weights, column_weights };
        cx.push(call).constant_bytes(bytes);
        Ok(())
    }
}

/// The pixels of rows and of columns as constants, and how many bytes they and their weights are.
fn places(cx: &mut Lowering<'_>, axes: &[Axis; 2]) -> ([Const<i32>; 2], usize) {
    let places = |axis: &Axis| axis.pixels.iter().map(|pixel| *pixel as i32).collect::<Vec<_>>();
    let all = [cx.constant(&places(&axes[0])), cx.constant(&places(&axes[1]))];
    (all, 8 * (axes[0].pixels.len() + axes[1].pixels.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_near, assert_refused, eval, tensor};

    #[test]
    fn one_row_of_two_to_four() {
        let x = tensor([1, 2, 1], &[0., 4.]);
        for (mode, expected) in [
            (ResizeMode::Nearest, [0., 0., 4., 4.]),
            (ResizeMode::Bilinear, [0., 1., 3., 4.]),
            (ResizeMode::BilinearAligned, [0., 4. / 3., 8. / 3., 4.]),
        ] {
            let found = eval(&Resize { size: [1, 4], mode }, &[&x]);
            assert_near(&found, &tensor([1, 4, 1], &expected));
        }
    }

    /// The float reference and the kernel pick the same neighbours, also where single precision shows.
    #[test]
    fn nearest_neighbours_are_the_kernels() {
        use niello_kernels::{Isa, Kernel, Memory, Operand, ResizeNearest};
        for (size, out) in [(14, 46), (26, 22), (30, 58), (39, 33), (7, 7), (5, 64), (64, 5), (1, 9), (9, 1)]
        {
            let values: Vec<i8> = (0..size as i8).collect();
            let mut resized = vec![0i8; out];
            let kernel = ResizeNearest {
                input: Operand::input(0, [1, size as u32, 1]),
                output: Operand::output(0, [1, out as u32, 1]),
            };
            let cells = std::cell::Cell::from_mut(&mut resized[..]).as_slice_of_cells();
            kernel.run(&Memory::new(&[], &[&values], &[cells]), Isa::scalar());
            let x = tensor([1, size, 1], &values.iter().map(|v| *v as f64).collect::<Vec<_>>());
            let expected = eval(&Resize { size: [1, out], mode: ResizeMode::Nearest }, &[&x]);
            assert_eq!(
                resized.iter().map(|v| *v as f64).collect::<Vec<_>>(),
                expected.data,
                "{size} to {out}"
            );
        }
    }

    #[test]
    fn a_sampling_that_is_a_plain_mode_becomes_it() {
        use crate::ops::{
            Coordinates,
            Interpolation::{Cubic, Linear, Nearest},
            Nearest as To,
        };
        let from = Shape::new(4, 6, 3);
        for (coordinates, interpolation, size, scales, mode) in [
            (Coordinates::HalfPixel, Linear, [8, 3], None, Some(ResizeMode::Bilinear)),
            (Coordinates::PytorchHalfPixel, Linear, [8, 12], Some([2.0; 2]), Some(ResizeMode::Bilinear)),
            (Coordinates::HalfPixel, Linear, [11, 13], None, Some(ResizeMode::Bilinear)),
            (Coordinates::AlignCorners, Linear, [7, 9], None, Some(ResizeMode::BilinearAligned)),
            (Coordinates::Asymmetric, Linear, [8, 3], None, Some(ResizeMode::BilinearAsymmetric)),
            (Coordinates::Asymmetric, Nearest(To::Floor), [8, 18], None, Some(ResizeMode::Nearest)),
            (Coordinates::HalfPixel, Nearest(To::RoundPreferFloor), [8, 12], None, Some(ResizeMode::Nearest)),
            (Coordinates::Asymmetric, Nearest(To::Ceil), [8, 12], None, None),
            (Coordinates::HalfPixel, Linear, [8, 3], Some([2.0, 0.6]), None),
            (Coordinates::HalfPixel, Cubic { a: -0.75, exclude_outside: false }, [8, 12], None, None),
        ] {
            let sampling = Sampling { coordinates, interpolation, scales };
            let resize = Resize::sampled(from, size, sampling);
            assert_eq!(resize.mode, mode.unwrap_or(ResizeMode::Sampled(sampling)), "{sampling:?}");
        }
    }

    #[test]
    fn int8_is_within_steps_of_float() {
        use crate::ops::{Coordinates, Interpolation, testing::lowered_error};
        for interpolation in [Interpolation::Linear, Interpolation::Cubic { a: -0.5, exclude_outside: true }]
        {
            let sampling = Sampling {
                coordinates: Coordinates::HalfPixelSymmetric,
                interpolation,
                scales: Some([1.3, 0.7]),
            };
            let resize = Resize { size: [6, 3], mode: ResizeMode::Sampled(sampling) };
            assert!(lowered_error(resize, Shape::new(5, 5, 4)) <= 2.0, "{interpolation:?}");
        }
    }

    #[test]
    fn sides_of_zero_or_too_many_pixels_are_refused() {
        let to = |h, w| Resize { size: [h, w], mode: ResizeMode::Nearest };
        assert_refused(&to(0, 4), &[(&[[2, 2, 1]], "cannot resize 2x2x1 to 0x4")]);
        assert_refused(&to(4, (1 << 15) + 1), &[(&[[2, 2, 1]], "cannot resize")]);
        assert_refused(&to(4, 4), &[(&[[0, 2, 1]], "cannot resize")]);
    }
}
