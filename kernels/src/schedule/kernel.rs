//! The implementations that all kernels share, written once.

/// Implements [`Kernel`](crate::Kernel).
///
/// `check` is what `run` needs, or `None` where operands and parameters do not fit together: then nothing is written. Kernels whose output rows
/// can be computed apart go on with:
///
/// * `reads`: one or two fields of [`Operand`](crate::Operand)s. With `one pixel`, that one may be a single pixel, which meets all of them.
/// * `in place`: whether each element is read before it is overwritten; else operands and output are apart.
/// * `step`: parts begin at multiples of so many rows.
/// * `rows` and `above`: which rows of its operands a row needs, and the field with the padding (or cropping) above. Without them, the same row.
/// * `scratch`: the field of its region, `of` so many bytes that one thread needs.
/// * `cost`: relative cost of an element of the output in multiply-accumulates of a convolution; or `work`, that of all of them.
///
/// `run` writes the rows of `output` and the kernel's scratch and nothing else, and reads nothing but the operands of `reads`, constants and that
/// scratch. Threads rely on it.
macro_rules! kernel {
    ($kernel:ident $(<$l:lifetime>)?, |$this:ident| {
        check: |$mem:ident| $check:expr,
        run: |$checked:pat_param, $isa:pat_param| $run:expr $(,)?
    }) => {
        impl$(<$l>)? $crate::Kernel for $kernel$(<$l>)? {
            fn run(&self, $mem: &$crate::Memory<'_>, $isa: $crate::Isa) {
                let $this = self;
                let Some($checked) = $check else { $crate::schedule::refused!($kernel) };
                $run
            }

            fn fits(&self, $mem: &$crate::Memory<'_>) -> bool {
                let $this = self;
                $check.is_some()
            }
        }
    };
    ($kernel:ident $(<$l:lifetime>)?, |$this:ident| {
        check: |$mem:ident| $check:expr,
        run: |$checked:pat_param, $isa:pat_param| $run:expr,
        $($rows:tt)+
    }) => {
        $crate::schedule::kernel!($kernel$(<$l>)?, |$this| {
            fits: |$mem| $check.is_some(),
            run: |$isa| {
                let Some($checked) = $check else { $crate::schedule::refused!($kernel) };
                $run
            },
            $($rows)+
        });
    };
    ($kernel:ident $(<$l:lifetime>)?, |$this:ident| {
        fits: |$mem:ident| $fits:expr,
        run: |$isa:pat_param| $run:expr,
        reads: [$a:ident $(, $b:ident)?],
        $(one pixel: $one:ident,)?
        $(in place: $in_place:expr,)?
        $(step: $step:expr,)?
        $(rows: $rows:expr, above: $above:ident$([$axis:literal])?,)?
        $(scratch: $scratch:ident of $bytes:expr,)?
        $(cost: $cost:expr,)?
        $(work: $work:expr,)?
    }) => {
        impl$(<$l>)? $crate::Kernel for $kernel$(<$l>)? {
            fn run(&self, mem: &$crate::Memory<'_>, isa: $crate::Isa) {
                $crate::schedule::run(self, mem, isa);
            }

            fn fits(&self, mem: &$crate::Memory<'_>) -> bool {
                $crate::schedule::by_rows::RowPartition::fits(self, mem)
            }
        }

        // SAFETY: a part writes its rows of the output and its own scratch. It reads the rows of its operands that these need; in place, the same
        // rows, each element before it is overwritten; or an operand of one pixel, which has another shape than the output, so that it is not
        // the view that is written.
        unsafe impl$(<$l>)? $crate::schedule::by_rows::RowPartition for $kernel$(<$l>)? {
            $(const STEP: usize = $step;)?
            $(const IN_PLACE: bool = $in_place;)?

            fn output(&self) -> $crate::Operand {
                self.output
            }

            fn reads(&self) -> [$crate::Operand; 2] {
                let operands = [self.$a $(, self.$b)?];
                let ([first, ..], [.., last]) = (operands, operands);
                [first, last]
            }

            $(
                fn scratch(&self) -> $crate::Region {
                    self.$scratch
                }

                fn scratch_of_one(&self) -> usize {
                    let $this = self;
                    $bytes
                }
            )?

            fn work(&self) -> usize {
                #[allow(unused_variables, reason = "not needed where every element costs the same")]
                let $this = self;
                $($crate::schedule::by_rows::elements(self.output.shape).saturating_mul($cost))?
                $($work)?
            }

            fn fits(&self, $mem: &$crate::Memory<'_>) -> bool {
                let $this = self;
                $fits
            }

            fn with_rows(&self, rows: core::ops::Range<usize>, index: usize) -> Self {
                $crate::schedule::by_rows::with_rows(self, rows, index)
            }

            #[cfg_attr(target_pointer_width = "32", inline(always))]
            fn run_serial(&self, $mem: &$crate::Memory<'_>, $isa: $crate::Isa) {
                let $this = self;
                $run
            }
        }

        impl$(<$l>)? $crate::schedule::by_rows::RowTileable for $kernel$(<$l>)? {
            $(
                fn is_by_rows(&self) -> bool {
                    self.$one.shape[0] == self.output.shape[0]
                }
            )?

            $(
                fn receptive_field(&self) -> $crate::schedule::by_rows::ReceptiveField {
                    let $this = self;
                    $rows
                }
            )?

            #[allow(unused_variables, reason = "not every kernel has padding, two operands and scratch")]
            fn over(
                &self,
                row: usize,
                [first, second]: [$crate::Operand; 2],
                output: $crate::Operand,
                scratch: $crate::Region,
            ) -> Self {
                let mut over = *self;
                (over.$a, over.output) = (first, output);
                $(over.$b = second;)?
                $(over.$above$([$axis])? = $crate::schedule::by_rows::RowTileable::receptive_field(self).above(row);)?
                $(over.$scratch = scratch;)?
                over
            }
        }
    };
}
pub(crate) use kernel;

/// Returns, as operands and parameters do not fit together.
macro_rules! refused {
    ($kernel:ident) => {{
        debug_assert!(
            false,
            concat!(stringify!($kernel), ": operands outside memory, or parameters that do not fit together")
        );
        return;
    }};
}
pub(crate) use refused;
