//! Normalisations.

use super::{
    super::{
        array::{Array, axis},
        context::{Cx, Made, live},
        value::{Live, Value},
    },
    arithmetic::{Kind, binary},
    reductions::reduced,
    windows::{layer_name, spatial},
};
use crate::ops::{BatchNorm, Function, L2Normalize, ReduceKind};

/// `BatchNormalization` with the statistics of training.
pub(super) fn batch_normalization(cx: &mut Cx<'_, '_>) -> Made {
    cx.ignore(&["momentum", "consumed_inputs", "is_test"]);
    let epsilon = cx.float("epsilon", 1e-5)?;
    if cx.flag("training_mode", false)? {
        return Err("attribute `training_mode` 1; export the network in evaluation mode".into());
    }
    if !cx.flag("spatial", true)? {
        return Err("attribute `spatial` 0: statistics for each pixel".into());
    }
    let (input, name) = (cx.live(0)?, layer_name(cx, 1));
    let Some(c) = input.dims().get(1).copied() else {
        return Err(format!("no channels in {:?}", input.dims()));
    };
    let mut vectors = vec![];
    for i in 1..5 {
        vectors.push(cx.vector(i, c)?.ok_or_else(|| format!("input {i} is missing"))?);
    }
    let [weight, bias, mean, variance] = &vectors[..] else { return Err("inputs are missing".into()) };
    let input = cx.graph.with_whole(&name, &input, 1)?;
    let input = cx.graph.with_channels(&name, &input, &[1])?;
    let norm = BatchNorm::new(weight, bias, mean, variance, epsilon as f64);
    live(cx.graph.same(&name, norm, &input)?)
}

/// `(x - mean) / sqrt(variance + epsilon)` along axes; without the mean for the root of squares.
fn normalised(
    cx: &mut Cx<'_, '_>,
    name: &str,
    input: &Live,
    of: &[usize],
    epsilon: f32,
    centre: bool,
) -> Result<Value, String> {
    let part = |what: &str| format!("{name}.{what}");
    let number = |x: f32| Value::Known(Array::floats(vec![], vec![x]));
    let mut input = Value::Live(input.clone());
    if centre {
        let Value::Live(x) = &input else { return Ok(input) };
        let mean = reduced(cx, &part("mean"), &x.clone(), of, true, ReduceKind::Mean)?;
        input = binary(cx, &part("centred"), Kind::Sub, input, Value::Live(mean))?;
    }
    let Value::Live(x) = &input else { return Ok(input) };
    let squares = cx.graph.function(&part("squares"), x, Function::Square)?;
    let variance = reduced(cx, &part("variance"), &squares, of, true, ReduceKind::Mean)?;
    let variance = binary(cx, &part("epsilon"), Kind::Add, Value::Live(variance), number(epsilon))?;
    let Value::Live(variance) = variance else { return Ok(input) };
    let inverse = cx.graph.function(&part("factor"), &variance, Function::Rsqrt)?;
    binary(cx, &part("normalised"), Kind::Mul, input, Value::Live(inverse))
}

/// The value times `weight`, plus `bias`.
fn scaled(
    cx: &mut Cx<'_, '_>,
    name: &str,
    value: Value,
    weight: Option<Array>,
    bias: Option<Array>,
) -> Result<Value, String> {
    let value = match weight {
        Some(weight) => {
            let part = if bias.is_some() { format!("{name}.scaled") } else { name.into() };
            binary(cx, &part, Kind::Mul, value, Value::Known(weight))?
        }
        None => value,
    };
    match bias {
        Some(bias) => binary(cx, name, Kind::Add, value, Value::Known(bias)),
        None => Ok(value),
    }
}

/// A vector for each channel, as it broadcasts to `[1, C, …]`.
fn per_channel(cx: &Cx<'_, '_>, i: usize, c: usize, rank: usize) -> Result<Option<Array>, String> {
    let mut dims = vec![1; rank];
    dims[1] = c;
    Ok(cx.vector(i, c)?.map(|v| Array::floats(dims, v.to_vec())))
}

/// `InstanceNormalization`.
pub(super) fn instance_normalization(cx: &mut Cx<'_, '_>) -> Made {
    spatial(cx)?;
    let (input, name, epsilon) = (cx.live(0)?, cx.name.clone(), cx.float("epsilon", 1e-5)?);
    let (rank, c) = (input.dims().len(), input.dims()[1]);
    let of: Vec<usize> = (2..rank).collect();
    let value = normalised(cx, &name, &input, &of, epsilon, true)?;
    let (weight, bias) = (per_channel(cx, 1, c, rank)?, per_channel(cx, 2, c, rank)?);
    Ok(vec![scaled(cx, &name, value, weight, bias)?])
}

/// `LayerNormalization` (`centre`) and `RMSNormalization`.
pub(super) fn layer_normalization(cx: &mut Cx<'_, '_>, centre: bool) -> Made {
    cx.ignore(&["stash_type"]);
    let (input, name, epsilon) = (cx.live(0)?, cx.name.clone(), cx.float("epsilon", 1e-5)?);
    let rank = input.dims().len();
    let first = axis(cx.int("axis")?.unwrap_or(-1), rank).map_err(|e| format!("attribute `axis`: {e}"))?;
    let of: Vec<usize> = (first..rank).collect();
    let value = normalised(cx, &name, &input, &of, epsilon, centre)?;
    let optional = |cx: &Cx<'_, '_>, i: usize| cx.given(i).is_some().then(|| cx.weights(i)).transpose();
    let (weight, bias) = (optional(cx, 1)?, optional(cx, 2)?);
    Ok(vec![scaled(cx, &name, value, weight, bias)?])
}

/// `GroupNormalization`: one factor for each group, since version 21 for each channel.
pub(super) fn group_normalization(cx: &mut Cx<'_, '_>) -> Made {
    cx.ignore(&["stash_type"]);
    spatial(cx)?;
    let (input, name, epsilon) = (cx.live(0)?, cx.name.clone(), cx.float("epsilon", 1e-5)?);
    let (dims, groups) = (input.dims().to_vec(), cx.int("num_groups")?.unwrap_or_default());
    let c = dims[1];
    let groups = usize::try_from(groups).ok().filter(|g| *g > 0 && c.is_multiple_of(*g));
    let groups = groups.ok_or_else(|| format!("attribute `num_groups` does not divide {c} channels"))?;
    let split = [&[1, groups, c / groups], &dims[2..]].concat();
    let parts = cx.graph.reshaped(&name, &input, &split)?;
    let of: Vec<usize> = (2..split.len()).collect();
    let value = normalised(cx, &name, &parts, &of, epsilon, true)?;
    let of_channels = |cx: &Cx<'_, '_>, i: usize| -> Result<Option<Array>, String> {
        if cx.version >= 21 {
            return per_channel(cx, i, c, dims.len());
        }
        let Some(vector) = cx.vector(i, groups)? else { return Ok(None) };
        let all = vector.iter().flat_map(|x| std::iter::repeat_n(*x, c / groups)).collect();
        let mut dims = vec![1; dims.len()];
        dims[1] = c;
        Ok(Some(Array::floats(dims, all)))
    };
    let (weight, bias) = (of_channels(cx, 1)?, of_channels(cx, 2)?);
    let Value::Live(value) = value else { return Ok(vec![value]) };
    let whole = cx.graph.reshaped(&name, &value, &dims)?;
    Ok(vec![scaled(cx, &name, Value::Live(whole), weight, bias)?])
}

/// `LpNormalization` with the root of squares.
pub(super) fn lp_normalization(cx: &mut Cx<'_, '_>) -> Made {
    let (input, name) = (cx.live(0)?, cx.name.clone());
    let of = axis(cx.int("axis")?.unwrap_or(-1), input.dims().len())
        .map_err(|e| format!("attribute `axis`: {e}"))?;
    if cx.int("p")?.unwrap_or(2) != 2 {
        return Err("attribute `p`: expected 2".into());
    }
    let input = cx.graph.with_channels(&name, &input, &[of])?;
    live(cx.graph.same(&name, L2Normalize, &input)?)
}
