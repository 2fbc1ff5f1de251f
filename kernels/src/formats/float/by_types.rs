//! Loops for types that the compiler knows.

/// ContiguousSpans `$body` with `$types`, as constants where all are the same and there is room for such copies.
macro_rules! by_types {
    ($types:ident => $body:expr) => {{
        use $crate::formats::float::Float;
        let all =
            |float: Float| cfg!(target_pointer_width = "64") && $types.iter().all(|t: &Float| *t == float);
        if all(Float::F32) {
            let $types = $types.map(|_: Float| Float::F32);
            $body
        } else if all(Float::F16) {
            let $types = $types.map(|_: Float| Float::F16);
            $body
        } else {
            $body
        }
    }};
}
pub(super) use by_types;
