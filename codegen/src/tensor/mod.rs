//! Dense NHWC tensors of real numbers, for the float reference.

mod shape;

pub use shape::Shape;

/// `f32` for full-size work, `f64` for tests.
pub trait Real: num::Real {}
impl<T: num::Real> Real for T {}

/// Arithmetic that the reference needs of a float type.
pub(crate) mod num {
    use std::{fmt::Debug, iter::Sum, ops};

    /// See [`super::Real`].
    pub trait Real:
        Copy
        + Debug
        + Default
        + PartialOrd
        + Send
        + Sync
        + Sum
        + ops::Add<Output = Self>
        + ops::Sub<Output = Self>
        + ops::Mul<Output = Self>
        + ops::Div<Output = Self>
        + ops::Neg<Output = Self>
        + ops::AddAssign
        + ops::MulAssign
        + 'static
    {
        /// From a weight.
        fn from_f32(x: f32) -> Self;
        /// From a constant.
        fn from_f64(x: f64) -> Self;
        /// For functions that are computed in double precision.
        fn to_f64(self) -> f64;
        /// The larger one.
        fn maximum(self, other: Self) -> Self {
            if other > self { other } else { self }
        }
        /// The smaller one.
        fn minimum(self, other: Self) -> Self {
            if other < self { other } else { self }
        }
        /// `c = a * b + c` for matrices `[m, k]`, `[n, k]` (transposed) and `[m, n]`, see `niello-gemm`.
        fn gemm_transposed(size: [usize; 3], a: &[Self], b: &[Self], c: &mut [Self]);
        /// `c[i] += a[i * step] * b` for `m` rows of `n`, element by element, see `niello-gemm`.
        fn scaled_rows(size: [usize; 2], step: usize, a: &[Self], b: &[Self], c: &mut [Self]);
    }

    macro_rules! real {
        ($t:ty, $gemm:path, $scaled_rows:path) => {
            impl Real for $t {
                fn from_f32(x: f32) -> Self {
                    x as $t
                }
                fn from_f64(x: f64) -> Self {
                    x as $t
                }
                fn to_f64(self) -> f64 {
                    self as f64
                }
                fn gemm_transposed([m, k, n]: [usize; 3], a: &[Self], b: &[Self], c: &mut [Self]) {
                    $gemm(m, k, n, a, b, c);
                }
                fn scaled_rows(size: [usize; 2], step: usize, a: &[Self], b: &[Self], c: &mut [Self]) {
                    $scaled_rows(size, step, a, b, c);
                }
            }
        };
    }
    real!(f32, niello_gemm::gemm_f32, niello_gemm::scaled_rows_f32);
    real!(f64, niello_gemm::gemm_f64, niello_gemm::scaled_rows_f64);
}

/// A dense `[h, w, c]` tensor, channels innermost.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor<T> {
    /// Height, width, channels.
    pub shape: Shape,
    /// `h * w * c` values.
    pub data: Vec<T>,
}

impl<T: Copy> Tensor<T> {
    /// All elements equal.
    pub fn filled(shape: Shape, value: T) -> Self {
        Self { shape, data: vec![value; shape.len()] }
    }

    /// From values in `[h, w, c]` order; `None` if their number does not fit.
    pub fn new(shape: Shape, data: Vec<T>) -> Option<Self> {
        (data.len() == shape.len()).then_some(Self { shape, data })
    }

    /// From values in PyTorch's `[c, h, w]` order; `None` if their number does not fit.
    pub fn from_chw(shape: Shape, data: &[T]) -> Option<Self> {
        if data.len() != shape.len() {
            return None;
        }
        let plane = shape.h * shape.w;
        let data = (0..shape.len()).map(|i| data[(i % shape.c) * plane + i / shape.c]).collect();
        Some(Self { shape, data })
    }

    /// The values in PyTorch's `[c, h, w]` order.
    pub fn to_chw(&self) -> Vec<T> {
        let plane = self.shape.h * self.shape.w;
        (0..self.shape.len()).map(|i| self.data[(i % plane) * self.shape.c + i / plane]).collect()
    }

    /// Channels of pixel `[y, x]`.
    #[inline]
    pub fn pixel(&self, y: usize, x: usize) -> &[T] {
        let start = (y * self.shape.w + x) * self.shape.c;
        &self.data[start..start + self.shape.c]
    }

    /// Channels of pixel `[y, x]`.
    #[inline]
    pub fn pixel_mut(&mut self, y: usize, x: usize) -> &mut [T] {
        let start = (y * self.shape.w + x) * self.shape.c;
        &mut self.data[start..start + self.shape.c]
    }

    /// Element by element.
    pub fn map<U>(&self, f: impl FnMut(T) -> U) -> Tensor<U> {
        Tensor { shape: self.shape, data: self.data.iter().copied().map(f).collect() }
    }
}
