//! Checks a user's options against the rules of a network.

use niello_codegen::{
    Error, Result, Shape,
    import::network::{Network, NetworkOptions},
};

/// The heights and widths that a network takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sides {
    /// Any multiple of this (each halving must be exact).
    MultipleOf(usize),
    /// Any from this on (below, a map would vanish).
    AtLeast(usize),
    /// This one only (for a network that reads a vector).
    Exactly(usize),
    /// Any from `min` on that lies `above` a multiple of `unit` (so that two maps get the same size).
    Above {
        /// The multiple.
        unit: usize,
        /// The minimum and maximum above it.
        above: [usize; 2],
        /// The smallest.
        min: usize,
    },
}

/// The largest side, channel count or class count: far beyond any board, and no product of sizes overflows.
const MAX_OPTION: usize = 1 << 14;

/// The options that a network is built with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Chosen {
    /// Input shape.
    pub(crate) input: Shape,
    /// Number of classes.
    pub(crate) classes: usize,
    /// Base number of channels, where one was chosen.
    pub(crate) width: Option<usize>,
}

/// The options, with `network`'s defaults for the rest.
///
/// # Errors
/// The network, the option, its rule and the value.
pub(crate) fn choose(network: &dyn Network, options: &NetworkOptions, sides: Sides) -> Result<Chosen> {
    let default = network.default_input();
    let [h, w] = options.input_size.unwrap_or([default.h, default.w]);
    for (side, value) in [("height", h), ("width", w)] {
        let (fits, rule) = match sides {
            Sides::MultipleOf(n) => (value >= n && value.is_multiple_of(n), format!("a multiple of {n}")),
            Sides::AtLeast(n) => (value >= n, format!("at least {n}")),
            Sides::Exactly(n) => (value == n, format!("exactly {n}")),
            Sides::Above { unit, above: [from, to], min } => (
                value >= min && (from..=to).contains(&(value % unit)),
                format!("at least {min}, and {from} to {to} above a multiple of {unit}"),
            ),
        };
        check(network, &format!("input {side}"), fits && value <= MAX_OPTION, &rule, value)?;
    }
    let channels = options.input_channels.unwrap_or(default.c);
    let classes = options.classes.unwrap_or(network.default_classes().len());
    for (what, value) in [("number of input channels", channels), ("number of classes", classes)] {
        check(network, what, (1..=MAX_OPTION).contains(&value), "at least 1", value)?;
    }
    if let (Some(width), Some(unit)) = (options.width, network.width_unit()) {
        let fits = width >= unit && width.is_multiple_of(unit) && width <= MAX_OPTION;
        check(network, "width", fits, &format!("a multiple of {unit}"), width)?;
    }
    Ok(Chosen { input: Shape::new(h, w, channels), classes, width: options.width })
}

fn check(network: &dyn Network, what: &str, fits: bool, rule: &str, found: usize) -> Result<()> {
    if fits {
        return Ok(());
    }
    let name = network.name();
    Err(Error::Invalid(format!("{name}: {what} must be {rule} (and at most {MAX_OPTION}), got {found}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::networks::AnamNet;

    fn sized(h: usize, w: usize) -> NetworkOptions {
        NetworkOptions { input_size: Some([h, w]), ..Default::default() }
    }

    #[test]
    fn defaults_are_the_networks_own() {
        let chosen = choose(&AnamNet, &NetworkOptions::default(), Sides::MultipleOf(16)).unwrap();
        assert_eq!(chosen, Chosen { input: Shape::new(512, 512, 1), classes: 3, width: None });
    }

    #[test]
    fn what_a_network_does_not_allow_is_named() {
        let none = NetworkOptions { classes: Some(0), ..Default::default() };
        let deep = NetworkOptions { input_channels: Some(usize::MAX), ..Default::default() };
        for (options, sides, expected) in [
            (sized(40, 64), Sides::MultipleOf(16), "anam_net: input height must be a multiple of 16 "),
            (sized(64, 0), Sides::MultipleOf(16), "anam_net: input width must be a multiple of 16 "),
            (sized(64, 3), Sides::AtLeast(4), "anam_net: input width must be at least 4 "),
            (sized(1 << 40, 16), Sides::MultipleOf(16), "at most 16384), got 1099511627776"),
            (none, Sides::AtLeast(4), "anam_net: number of classes must be at least 1 "),
            (deep, Sides::AtLeast(4), "anam_net: number of input channels must be"),
        ] {
            let message = choose(&AnamNet, &options, sides).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
