//! Normalisations.

use super::{
    super::{
        array::{Array, axis},
        context::{Cx, Made, live},
        value::{Live, Value},
    },
    arithmetic::{Kind, binary},
    reductions::reduced,
    windows::layer_name,
};
use crate::ops::{AveragePool2d, BatchNorm, Function, L2Normalize, ReduceKind};

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
) -> Result<Normalised, String> {
    let part = |what: &str| format!("{name}.{what}");
    let number = |x: f32| Value::Known(Array::floats(vec![], vec![x]));
    let tensor = |value: Value| match value {
        Value::Live(live) => Ok(live),
        _ => Err("expected a tensor".to_string()),
    };
    let (mut mean, mut input) = (None, input.clone());
    if centre {
        let made = Value::Live(reduced(cx, &part("mean"), &input, of, true, ReduceKind::Mean)?);
        input = tensor(binary(cx, &part("centred"), Kind::Sub, Value::Live(input), made.clone())?)?;
        mean = Some(made);
    }
    let squares = cx.graph.function(&part("squares"), &input, Function::Square)?;
    let variance = Value::Live(reduced(cx, &part("variance"), &squares, of, true, ReduceKind::Mean)?);
    let variance = tensor(binary(cx, &part("epsilon"), Kind::Add, variance, number(epsilon))?)?;
    let factor = Value::Live(cx.graph.function(&part("factor"), &variance, Function::Rsqrt)?);
    let value = binary(cx, &part("normalised"), Kind::Mul, Value::Live(input), factor.clone())?;
    Ok(Normalised { value, mean, factor })
}

/// A tensor with a mean of 0 and a variance of 1, and what made it so.
struct Normalised {
    value: Value,
    mean: Option<Value>,
    /// One by the root of the variance.
    factor: Value,
}

/// The axes behind batch and channels, of which there must be some.
fn behind_channels(cx: &Cx<'_, '_>) -> Result<std::ops::Range<usize>, String> {
    match cx.dims(0)?.len() {
        rank @ 3.. => Ok(2..rank),
        _ => Err(format!("expected [N, C, …], got {:?}", cx.dims(0)?)),
    }
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
    let of: Vec<usize> = behind_channels(cx)?.collect();
    let (input, name, epsilon) = (cx.live(0)?, cx.name.clone(), cx.float("epsilon", 1e-5)?);
    let (rank, c) = (input.dims().len(), input.dims()[1]);
    let value = normalised(cx, &name, &input, &of, epsilon, true)?.value;
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
    let Normalised { value, mean, factor } = normalised(cx, &name, &input, &of, epsilon, centre)?;
    let optional = |cx: &Cx<'_, '_>, i: usize| cx.given(i).is_some().then(|| cx.weights(i)).transpose();
    let (weight, bias) = (optional(cx, 1)?, optional(cx, 2)?);
    let made = scaled(cx, &name, value, weight, bias)?;
    Ok([Some(made), mean, Some(factor)].into_iter().flatten().collect())
}

/// `GroupNormalization`: one factor for each group, since version 21 for each channel.
pub(super) fn group_normalization(cx: &mut Cx<'_, '_>) -> Made {
    cx.ignore(&["stash_type"]);
    behind_channels(cx)?;
    let (input, name, epsilon) = (cx.live(0)?, cx.name.clone(), cx.float("epsilon", 1e-5)?);
    let (dims, groups) = (input.dims().to_vec(), cx.int("num_groups")?.unwrap_or_default());
    let c = dims[1];
    let groups = usize::try_from(groups).ok().filter(|g| *g > 0 && c.is_multiple_of(*g));
    let groups = groups.ok_or_else(|| format!("attribute `num_groups` does not divide {c} channels"))?;
    let split = [&[dims[0], groups, c / groups], &dims[2..]].concat();
    let parts = cx.graph.reshaped(&name, &input, &split)?;
    let of: Vec<usize> = (2..split.len()).collect();
    let value = normalised(cx, &name, &parts, &of, epsilon, true)?.value;
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

/// `LRN`: `x * (bias + alpha * mean of the squares of near channels) ^ -beta`.
pub(super) fn lrn(cx: &mut Cx<'_, '_>) -> Made {
    behind_channels(cx)?;
    let (alpha, beta, bias) = (cx.float("alpha", 1e-4)?, cx.float("beta", 0.75)?, cx.float("bias", 1.0)?);
    let size = cx.int("size")?.and_then(|size| usize::try_from(size).ok()).filter(|size| *size > 0);
    let size = size.ok_or("attribute `size` is missing, or not positive")?;
    let (input, name) = (cx.live(0)?, cx.name.clone());
    let part = |what: &str| format!("{name}.{what}");
    let squares = cx.graph.function(&part("squares"), &input, Function::Square)?;
    // Channels as the axis that a window slides along; those beyond the first and the last count as zeros.
    let rank = input.dims().len();
    let (outer, inner): (Vec<usize>, Vec<usize>) =
        (0..rank).filter(|axis| *axis != 1).partition(|axis| axis + 1 < rank);
    let squares = cx.graph.arranged(&name, &squares, [&outer, &[1], &inner])?;
    let mean = AveragePool2d {
        kernel: [1, size],
        stride: [1, 1],
        padding: [0, 0, (size - 1) / 2, size / 2],
        ceil_mode: false,
        count_padding: true,
    };
    let mean = cx.graph.same(&part("mean"), mean, &squares)?;
    let sum = cx.graph.function(&part("sum"), &mean, Function::Affine(alpha as f64, bias as f64))?;
    let factor = cx.graph.function(&part("factor"), &sum, Function::Power(-beta as f64))?;
    Ok(vec![binary(cx, &name, Kind::Mul, Value::Live(input), Value::Live(factor))?])
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
