//! Quantised constants; quantised networks are not imported.

use super::super::{
    array::{Array, Data, axis, places},
    context::{Cx, Made, known},
    value::Value,
};

/// Scales that are positive, and zero points of the codes' type: inputs 1 and 2.
fn parameters(cx: &Cx<'_, '_>) -> Result<(Array, Option<Array>), String> {
    let scales = cx.known(1)?;
    if let Some(bad) = scales.as_floats()?.iter().find(|s| !(**s > 0.0 && s.is_finite())) {
        return Err(format!("{} holds {bad:?}, expected positive scales", cx.input_name(1)));
    }
    let zero_points = cx.given_known(2)?;
    if let Some(zeros) = &zero_points {
        let values = zeros.as_ints().map_err(|e| format!("{}: {e}", cx.input_name(2)))?;
        if zeros.of.bytes() == 4 && values.iter().any(|z| *z != 0) {
            return Err(format!("{} holds {values:?} of type {}", cx.input_name(2), zeros.of.name()));
        }
        if values.len() != scales.len() {
            return Err(format!(
                "{} has {} elements, {} scales",
                cx.input_name(2),
                values.len(),
                scales.len()
            ));
        }
    }
    Ok((scales, zero_points))
}

/// `DequantizeLinear` of a constant.
pub(super) fn dequantize_linear(cx: &mut Cx<'_, '_>) -> Made {
    cx.ignore(&["output_dtype"]);
    if let Some(size) = cx.int("block_size")?.filter(|size| *size != 0) {
        return Err(format!("attribute `block_size` {size}: scales for blocks of weights"));
    }
    let given = cx.int("axis")?.unwrap_or(1);
    let (scales, zeros) = parameters(cx)?;
    let Value::Known(codes) = cx.value(0)? else { return Err(NOT_YET.into()) };
    let values = codes.as_ints().map_err(|e| format!("{}: {e}", cx.input_name(0)))?;
    if let Some(zeros) = zeros.as_ref().filter(|zeros| zeros.of != codes.of) {
        let (of_codes, of_zeros) = (codes.of.name(), zeros.of.name());
        return Err(format!(
            "{} is of type {of_zeros}, {} of type {of_codes}",
            cx.input_name(2),
            cx.input_name(0)
        ));
    }
    let mut dims = vec![1; codes.dims.len()];
    if scales.len() > 1 || !scales.dims.is_empty() && scales.len() != 1 {
        let axis = axis(given, dims.len()).map_err(|e| format!("attribute `axis`: {e}"))?;
        dims[axis] = codes.dims[axis];
        if scales.dims != [dims[axis]] {
            let (have, want) = (&scales.dims, dims[axis]);
            return Err(format!(
                "{} has a size of {have:?}, axis {axis} has {want} elements",
                cx.input_name(1)
            ));
        }
    }
    let steps = scales.with_dims(dims).broadcast_steps(&codes.dims);
    let scales = scales.as_floats()?;
    let zero = |i: usize| zeros.as_ref().and_then(|z| Some(z.as_ints().ok()?[i])).unwrap_or(0);
    let each = values.iter().zip(places(&codes.dims, &steps, 0));
    let data = Data::Float(each.map(|(q, i)| (q - zero(i)) as f32 * scales[i]).collect());
    known(Array { dims: codes.dims.clone(), data, of: super::super::array::Type::F32 })
}

/// `QuantizeLinear`: its parameters are checked.
pub(super) fn quantize_linear(cx: &mut Cx<'_, '_>) -> Made {
    parameters(cx)?;
    Err(NOT_YET.into())
}

const NOT_YET: &str = "a quantised network; export it in floating point, and niello quantises it";
