//! What kernels implement, written once.

/// [`Kernel`](crate::Kernel) for kernels that are [`ByRows`].
macro_rules! kernel {
    ($kernel:ident $(<$l:lifetime>)?) => {
        impl$(<$l>)? $crate::Kernel for $kernel$(<$l>)? {
            fn run(&self, mem: &$crate::Memory<'_>, isa: $crate::Isa) {
                $crate::schedule::run(self, mem, isa);
            }

            fn fits(&self, mem: &$crate::Memory<'_>) -> bool {
                $crate::schedule::by_rows::ByRows::fits(self, mem)
            }
        }
    };
}
pub(crate) use kernel;

/// [`Kernel`](crate::Kernel) for kernels that compute each row of `output` from the same row of operands `$a` and `$b`, which may be one.
///
/// `$check` is a method that returns `None` where operands and parameters do not fit. With `one pixel: true`, the second operand may be a
/// single pixel instead, which meets all of them. An element takes as long as `$work` multiply-accumulates of a convolution.
///
/// `$alone` computes all rows, or nothing where `$check` returns `None`. It writes the output and nothing else; with `in place: true` it reads
/// each element before it is overwritten, else operands and output are apart. Threads rely on it.
macro_rules! same_rows {
    (
        $kernel:ident $(<$l:lifetime>)?, $a:ident, $b:ident, in place: $in_place:expr, one pixel: $one_pixel:expr, work: $work:expr,
        $check:ident, |$this:ident, $mem:ident, $isa:pat_param| $alone:expr
    ) => {
        $crate::schedule::kernel!($kernel$(<$l>)?);

        // SAFETY: a part writes its rows, and reads the same rows of its operands, each element before it is overwritten, or an
        // operand of one pixel; that has another shape than the output, so that it is not the view that is written.
        unsafe impl$(<$l>)? $crate::schedule::by_rows::ByRows for $kernel$(<$l>)? {
            const IN_PLACE: bool = $in_place;

            fn output(&self) -> $crate::Operand {
                self.output
            }

            fn reads(&self) -> [$crate::Operand; 2] {
                [self.$a, self.$b]
            }

            fn work(&self) -> usize {
                $crate::schedule::by_rows::elements(self.output.shape).saturating_mul($work)
            }

            fn fits(&self, mem: &$crate::Memory<'_>) -> bool {
                self.$check(mem).is_some()
            }

            fn part(&self, rows: core::ops::Range<usize>, index: usize) -> Self {
                let mut part = $crate::schedule::by_rows::part(self, rows, index);
                if !$crate::schedule::by_rows::Windowed::is_by_rows(self) {
                    part.$b = self.$b;
                }
                part
            }

            #[cfg_attr(target_pointer_width = "32", inline(always))]
            fn alone(&self, $mem: &$crate::Memory<'_>, $isa: $crate::Isa) {
                let $this = self;
                $alone
            }
        }

        impl$(<$l>)? $crate::schedule::by_rows::Windowed for $kernel$(<$l>)? {
            fn is_by_rows(&self) -> bool {
                const ONE_PIXEL: bool = $one_pixel;
                !ONE_PIXEL || self.$b.shape[0] == self.output.shape[0]
            }

            fn reach(&self) -> $crate::schedule::by_rows::Reach {
                $crate::schedule::by_rows::Reach::SAME
            }

            fn over(
                &self,
                _: usize,
                reads: [$crate::Operand; 2],
                output: $crate::Operand,
                _: $crate::Region,
            ) -> Self {
                let mut over = Self { output, ..*self };
                (over.$b, over.$a) = (reads[1], reads[0]);
                over
            }
        }
    };
}
pub(crate) use same_rows;
