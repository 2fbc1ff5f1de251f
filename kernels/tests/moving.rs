//! Kernels that move elements by axes and by indices, and constants, against naive references: any shape, width of elements and stride.

mod common;

use common::{Arena, Tensor, config, few, refuses};
use niello_kernels::{permute::AXES, *};
use proptest::prelude::*;

/// A tensor of `[h, w, bytes]` in which all bytes differ from their neighbours.
fn tensor(shape: [usize; 3]) -> Tensor {
    let mut next = 0u8;
    Tensor::from_fn(shape, |_, _, _| {
        next = next.wrapping_mul(5).wrapping_add(77);
        (next ^ next >> 3) as i8
    })
}

/// The result on every instruction set, of one operand or none.
fn check(
    input: Option<&Tensor>,
    expected: &Tensor,
    gaps: [usize; 2],
    make: impl Fn(Operand, Operand) -> Box<dyn Kernel>,
) {
    for isa in Isa::available() {
        let mut arena = Arena::new();
        let none = Operand::arena(0, [0; 3], 0);
        let operand = input.map_or(none, |input| arena.place(input, input.shape[2] + gaps[0]));
        let out = arena.reserve(expected.shape, expected.shape[2] + gaps[1]);
        let found = arena.run(&*make(operand, out), isa, &out, Region::EMPTY);
        assert_eq!(&found, expected, "{}", isa.name());
    }
}

fn element() -> impl Strategy<Value = usize> {
    prop_oneof![Just(1), Just(2), Just(4)]
}

fn gaps() -> impl Strategy<Value = [usize; 2]> {
    prop_oneof![2 => Just([0, 0]), 1 => [0usize..9, 0usize..9]]
}

/// Numbers as three sides, whose product they are.
fn sides(len: usize, choice: usize) -> [usize; 3] {
    let divisors = |n: usize| (1..=n).filter(move |d| n.is_multiple_of(*d)).collect::<Vec<_>>();
    let h = divisors(len)[choice % divisors(len).len()];
    let rest = divisors(len / h);
    let w = rest[choice / 7 % rest.len()];
    [h, w, len / h / w]
}

/// Indices of an axis, from those of a random one, -1 among them.
fn indices(size: usize, style: usize, numbers: &[usize]) -> Option<Vec<i32>> {
    let size = size as i32;
    match style {
        0 => None,
        1 => Some((-2..size + 3).map(|i| if (0..size).contains(&i) { i } else { -1 }).collect()),
        2 => Some((0..size).rev().collect()),
        3 => Some((0..size).step_by(2).collect()),
        4 => Some(vec![size - 1; 3]),
        _ => Some(numbers.iter().map(|n| (*n as i32) % (size + 1) - 1).collect()),
    }
}

/// Each index as a run, or as many as one run can hold.
fn runs(indices: &Option<Vec<i32>>, alone: bool) -> &'static [i32] {
    let mut runs: Vec<[i32; 3]> = vec![];
    for index in indices.iter().flatten() {
        match runs.last_mut() {
            Some([first, 1, n]) if !alone && *first >= 0 && *first + *n == *index => *n += 1,
            Some([-1, _, n]) if !alone && *index == -1 => *n += 1,
            _ => runs.push([*index, if *index < 0 { 0 } else { 1 }, 1]),
        }
    }
    runs.into_flattened().leak()
}

proptest! {
    #![proptest_config(config(128, 2))]

    #[test]
    fn axes_in_any_order(
        sizes in prop::collection::vec(1..=few(5, 3), 1..=AXES), shuffle: u64, choices in [0usize..999, 0usize..999],
        element in element(), gaps in gaps(),
    ) {
        let mut order: Vec<usize> = (0..sizes.len()).collect();
        order.sort_by_key(|axis| (shuffle >> (8 * axis)) & 0xff);
        let len: usize = sizes.iter().product();
        let shape = |choice| {
            let [h, w, c] = sides(len, choice);
            [h, w, c * element]
        };
        let input = tensor(shape(choices[0]));
        let stride = |axis: usize| sizes[axis + 1..].iter().product::<usize>();
        // Digits of the place in the result are places along its axes.
        let from = |place: usize| {
            let mut rest = place;
            order.iter().rev().map(|axis| {
                let at = rest % sizes[*axis];
                rest /= sizes[*axis];
                at * stride(*axis)
            }).sum::<usize>()
        };
        let bytes = (0..len).flat_map(|i| &input.data[from(i) * element..][..element]).copied().collect();
        let expected = Tensor::new(shape(choices[1]), bytes);
        let first = AXES - sizes.len();
        let axis = |i: usize, of: &dyn Fn(usize) -> usize, none: usize| {
            if i < first { none as u32 } else { of(order[i - first]) as u32 }
        };
        let all = std::array::from_fn(|i| axis(i, &|axis| sizes[axis], 1));
        let strides = std::array::from_fn(|i| axis(i, &stride, 7));
        check(Some(&input), &expected, gaps, |input, output| {
            Box::new(Permute { input, output, element: element as u32, sizes: all, strides })
        });
    }

    #[test]
    fn any_indices(
        [h, w, c] in [1usize..=5, 1usize..=6, 1..=few(90, 9)], styles in [0usize..6, 0usize..6, 0usize..6],
        numbers in [
            prop::collection::vec(0usize..1000, 1..7), prop::collection::vec(0usize..1000, 1..7),
            prop::collection::vec(0usize..1000, 1..few(40, 9)),
        ],
        pad: i32, alone: bool, element in element(), gaps in gaps(),
    ) {
        let input = tensor([h, w, c * element]);
        let sizes = [h, w, c];
        let axes: [_; 3] = std::array::from_fn(|i| indices(sizes[i], styles[i], &numbers[i]));
        let all: [Vec<i32>; 3] =
            std::array::from_fn(|i| axes[i].clone().unwrap_or_else(|| (0..sizes[i] as i32).collect()));
        let shape = [all[0].len(), all[1].len(), all[2].len() * element];
        let expected = Tensor::from_fn(shape, |y, x, byte| {
            let (y, x, channel, byte) = (all[0][y], all[1][x], all[2][byte / element], byte % element);
            if y < 0 || x < 0 || channel < 0 {
                return pad.to_le_bytes()[byte] as i8;
            }
            input.at(y as usize, x as usize, channel as usize * element + byte)
        });
        let [rows, columns, channels] = std::array::from_fn(|i| runs(&axes[i], alone));
        check(Some(&input), &expected, gaps, |input, output| {
            Box::new(Index { input, output, element: element as u32, rows, columns, channels, pad })
        });
    }

    #[test]
    fn constants([h, w, c] in [1usize..=5, 1usize..=6, 1..=few(90, 9)], gaps in gaps()) {
        let value = tensor([h, w, c]);
        let data: &'static [i8] = value.data.clone().leak();
        check(None, &value, gaps, |_, output| Box::new(Constant { output, data }));
    }
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let mut arena = Arena::new();
    let input = arena.place(&tensor([2, 3, 8]), 8);
    let output = arena.reserve([2, 3, 8], 9);
    arena.remember();
    let far = |operand: Operand| Operand { offset: 1 << 20, ..operand };
    let permute =
        Permute { input, output, element: 2, sizes: [1, 1, 1, 4, 3, 2], strides: [0, 0, 0, 1, 4, 12] };
    assert!(arena.fits(&permute));
    let strides = permute.strides;
    let permutes = [
        ("outside", Permute { input: far(input), ..permute }),
        ("outside", Permute { output: far(output), ..permute }),
        ("no bytes", Permute { element: 0, ..permute }),
        ("three bytes", Permute { element: 3, ..permute }),
        ("cut elements", Permute { input: Operand { shape: [2, 3, 7], ..input }, ..permute }),
        ("too few", Permute { sizes: [1, 1, 1, 4, 3, 1], ..permute }),
        ("none", Permute { sizes: [0, 1, 1, 4, 3, 2], ..permute }),
        ("overflow", Permute { sizes: [u32::MAX; 6], ..permute }),
        ("beyond", Permute { strides: [0, 0, 0, 2, 4, 12], ..permute }),
        ("far beyond", Permute { sizes: [1, 1, 2, 1, 6, 2], strides: [0, 0, u32::MAX, 0, 0, 0], ..permute }),
        ("less input", Permute { input: Operand { shape: [1, 3, 8], ..input }, strides, ..permute }),
    ];
    permutes.iter().for_each(|(what, kernel)| refuses(what, &mut arena, kernel));

    let index = Index {
        input,
        output,
        element: 2,
        rows: &[1, -1, 2],
        columns: &[-1, 0, 1, 2, 0, 2],
        channels: &[],
        pad: 0,
    };
    assert!(arena.fits(&index));
    let indices = [
        ("outside", Index { input: far(input), ..index }),
        ("outside", Index { output: far(output), ..index }),
        ("no bytes", Index { element: 0, ..index }),
        ("three bytes", Index { element: 3, ..index }),
        ("cut elements", Index { output: Operand { shape: [2, 3, 7], ..output }, ..index }),
        ("half a run", Index { rows: &[1, -1], ..index }),
        ("a part of a run", Index { rows: &[1, -1, 2, 0], ..index }),
        ("too few rows", Index { rows: &[1, -1, 1], ..index }),
        ("beyond the last row", Index { rows: &[1, 1, 2], ..index }),
        ("before the first row", Index { rows: &[0, -1, 2], ..index }),
        ("less than nothing", Index { rows: &[0, 1, -1, 0, 0, 3], ..index }),
        ("-2", Index { rows: &[-2, 0, 2], ..index }),
        ("steps from nothing", Index { rows: &[-1, 1, 2], ..index }),
        ("far away", Index { columns: &[0, i32::MAX, 3], ..index }),
        ("other channels", Index { channels: &[0, 1, 3], ..index }),
        ("another width", Index { output: Operand { shape: [2, 2, 8], ..output }, columns: &[], ..index }),
    ];
    indices.iter().for_each(|(what, kernel)| refuses(what, &mut arena, kernel));

    refuses("outside", &mut arena, &Constant { output: far(output), data: &[0; 48] });
    for data in [&[0; 47][..], &[0; 49], &[]] {
        refuses("another size", &mut arena, &Constant { output, data });
    }
}
