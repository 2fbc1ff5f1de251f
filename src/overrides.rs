//! `--override LAYER=RANGE`: a recipe's `[overrides]` table on the command line.

use niello_codegen::recipe::RangeOverride;

/// The value of `--override`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Override {
    pub(crate) layer: String,
    pub(crate) range: RangeOverride,
}

/// `LAYER=minmax`, `LAYER=percentile:99.9`, `LAYER=-1,3.5`.
pub(crate) fn parse(text: &str) -> Result<Override, String> {
    let expected = || {
        format!("`{text}`: expected e.g. `conv1=minmax`, `conv1=percentile:99.9` or `conv1=-1,3.5` (MIN,MAX)")
    };
    let (layer, rule) = text.rsplit_once('=').filter(|(layer, _)| !layer.is_empty()).ok_or_else(expected)?;
    let range = if let Some((min, max)) = rule.split_once(',') {
        let real = |t: &str| t.trim().parse::<f32>().map_err(|_| expected());
        RangeOverride::fixed(real(min)?, real(max)?)
    } else {
        let (name, percentile) = rule.split_once(':').map_or((rule, None), |(name, p)| (name, Some(p)));
        let percentile = percentile.map(|p| p.parse::<f64>().map_err(|_| expected())).transpose()?;
        let range = name.parse().map_err(|e: niello_codegen::Error| e.to_string())?;
        RangeOverride { percentile, ..RangeOverride::rule(range) }
    };
    Ok(Override { layer: layer.into(), range })
}

#[cfg(test)]
mod tests {
    use super::*;
    use niello_codegen::recipe::RangeChoice;

    #[test]
    fn rules_and_ranges_are_told_apart() {
        for (text, layer, range) in [
            ("conv1=minmax", "conv1", RangeOverride::rule(RangeChoice::MinMax)),
            ("a.0=percentile:99.5", "a.0", RangeOverride::percentile(99.5)),
            ("a=b=-1,3.5", "a=b", RangeOverride::fixed(-1.0, 3.5)),
        ] {
            assert_eq!(parse(text), Ok(Override { layer: layer.into(), range }), "{text}");
        }
        for text in ["", "conv1", "=minmax", "conv1=", "conv1=1,x", "conv1=widest", "conv1=percentile:x"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
