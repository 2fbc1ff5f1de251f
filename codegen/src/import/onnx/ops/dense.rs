//! Matrix products with a constant.

use super::{
    super::{
        array::Array,
        context::{Cx, Made, known, live},
        value::{Elements, Live, Value},
    },
    arithmetic::{Kind, binary},
    between::with_given,
    windows::layer_name,
};
use crate::ops::{Conv2d, ConvParams};

/// `rows` of weights applied along axis `k`, which then has one element for each of them.
fn product(
    cx: &mut Cx<'_, '_>,
    name: &str,
    input: &Live,
    k: usize,
    rows: &Array,
    bias: Option<&[f32]>,
) -> Result<Live, String> {
    let [out, len] = rows.dims[..] else { return Err("expected a matrix".into()) };
    if input.dims()[k] != len {
        return Err(format!("a matrix for {len} values, the input has {}", input.dims()[k]));
    }
    let input = cx.graph.with_channels(name, input, &[k])?;
    // A vector of several pixels: one of as many channels, in the order of memory, for which columns of the matrix are moved.
    let input = match input.at.is_group(2, &[k]) && input.at.shape().c == len {
        true => input,
        false => return Err("an axis that is not in one piece".into()),
    };
    let (order, values) = (input.at.order_of(k), rows.as_floats()?);
    let weight =
        (0..out).flat_map(|row| order.iter().map(move |i| row * len + i)).map(|i| values[i]).collect();
    let bias = bias.map_or_else(|| vec![0.0; out].into(), |bias| bias.into());
    let at = input.at.reduced(&[k], true).with_atom(k, 2).resized(k, out).ok_or("no such axis")?.tidied();
    let (op, input) = with_given(cx, name, Conv2d::new(ConvParams::new(out, 1), len, weight, bias), &input)?;
    let id = cx.graph.op(name, op, &[input.id])?;
    cx.note_given(id);
    Ok(Live { id, at, of: Elements::Real })
}

/// A matrix with its axes exchanged.
fn turned(array: &Array, turn: bool) -> Array {
    if turn && array.dims.len() == 2 { array.transposed(&[1, 0]) } else { array.clone() }
}

/// `Gemm`: `alpha * a * b + beta * c`.
pub(super) fn gemm(cx: &mut Cx<'_, '_>) -> Made {
    let (alpha, beta) = (cx.float("alpha", 1.0)?, cx.float("beta", 1.0)?);
    let (turn_a, turn_b) = (cx.flag("transA", false)?, cx.flag("transB", false)?);
    let (a, b) = (cx.dims(0)?, cx.dims(1)?);
    if a.len() != 2 || b.len() != 2 {
        return Err(format!("expected matrices, got {a:?} and {b:?}"));
    }
    let (m, n) = (a[turn_a as usize], b[1 - turn_b as usize]);
    if a[1 - turn_a as usize] != b[turn_b as usize] {
        return Err(format!(
            "{} of {a:?} and {} of {b:?} do not go together",
            cx.input_name(0),
            cx.input_name(1)
        ));
    }
    let name = layer_name(cx, 1);
    // A constant that is the same for all rows is the layer's bias.
    let bias = match cx.given(2) {
        Some(Value::Known(c))
            if matches!(c.dims[..], [] | [1] | [1, 1]) || c.dims == [n] || c.dims == [1, n] =>
        {
            let c = cx.weights(2)?.expanded(&[1, n]);
            Some(c.as_floats()?.iter().map(|x| x * beta).collect::<Vec<f32>>())
        }
        _ => None,
    };
    let is_b_known = matches!(cx.value(1)?, Value::Known(_));
    let is_whole = cx.given(2).is_none() || (is_b_known && bias.is_some());
    let part = if is_whole { name.clone() } else { format!("{name}.product") };
    let scaled = |array: Array| -> Result<Array, String> {
        Ok(Array::floats(array.dims.clone(), array.as_floats()?.iter().map(|x| x * alpha).collect()))
    };
    let made = if is_b_known {
        let rows = scaled(turned(&cx.weights(1)?, !turn_b))?;
        let input = cx.live(0)?;
        let input = if turn_a { input.seen(input.at.transposed(&[1, 0])) } else { input };
        product(cx, &part, &input, 1, &rows, bias.as_deref())?
    } else {
        let rows = scaled(turned(&cx.weights(0)?, turn_a))?;
        let input = cx.live(1)?;
        let input = if turn_b { input.seen(input.at.transposed(&[1, 0])) } else { input };
        product(cx, &part, &input, 0, &rows, None)?
    };
    if is_whole {
        return live(made);
    }
    debug_assert_eq!(made.dims(), [m, n]);
    let c = cx.value(2)?.clone();
    let factor = Value::Known(Array::floats(vec![], vec![beta]));
    let c = if beta == 1.0 { c } else { binary(cx, &format!("{name}.scaled"), Kind::Mul, c, factor)? };
    Ok(vec![binary(cx, &name, Kind::Add, Value::Live(made), c)?])
}

/// `MatMul` with a constant.
pub(super) fn mat_mul(cx: &mut Cx<'_, '_>) -> Made {
    if cx.is_known() {
        return known(multiplied(cx)?);
    }
    let name = layer_name(cx, 1);
    let constant_is_b = matches!(cx.value(1)?, Value::Known(_));
    let (at, of) = if constant_is_b { (1, 0) } else { (0, 1) };
    if !matches!(cx.value(at)?, Value::Known(_)) {
        return Err(
            "a product of two tensors that both depend on the network's input; one must be a constant".into(),
        );
    }
    let matrix = cx.weights(at)?;
    let mut sides = matrix.dims.clone();
    while sides.len() > 2 && sides[0] == 1 {
        sides.remove(0);
    }
    let vector = sides.len() == 1;
    if vector {
        // One row or one column.
        sides.insert(if constant_is_b { 1 } else { 0 }, 1);
    }
    if sides.len() != 2 {
        return Err(format!("{} has a size of {:?}, expected a matrix", cx.input_name(at), matrix.dims));
    }
    let matrix = matrix.with_dims(sides);
    let input = cx.live(of)?;
    let rank = input.dims().len();
    let k = match (constant_is_b, rank) {
        (_, 0) => return Err("expected a vector or a matrix, got a number".into()),
        (true, _) | (false, 1) => rank - 1,
        (false, _) => rank - 2,
    };
    let made = product(cx, &name, &input, k, &turned(&matrix, constant_is_b), None)?;
    if !vector {
        return live(made);
    }
    let left: Vec<usize> = (0..rank).filter(|axis| *axis != k).collect();
    live(made.seen(made.at.transposed(&left)))
}

/// The product of two constant matrices.
fn multiplied(cx: &Cx<'_, '_>) -> Result<Array, String> {
    let (a, b) = (cx.known(0)?, cx.known(1)?);
    let ([m, k], [l, n]) = (&a.dims[..], &b.dims[..]) else { return Err("expected matrices".into()) };
    cx.check_size(&[*m, *n])?;
    if k != l {
        return Err(format!("{:?} and {:?} do not go together", a.dims, b.dims));
    }
    let (x, y) = (a.as_floats()?, b.as_floats()?);
    let sum =
        |i: usize| (0..*k).map(|j| x[i / n * k + j] as f64 * y[j * n + i % n] as f64).sum::<f64>() as f32;
    Ok(Array::floats(vec![*m, *n], (0..m * n).map(sum).collect()))
}
