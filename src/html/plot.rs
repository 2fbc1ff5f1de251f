//! Lines over an axis, as SVG inside a page, in the page's own colours.
//!
//! No crate: those for plots draw on a white ground with fixed colours of text, which a dark page cannot have.

use super::escaped;

/// A line with its name; points whose second number is none leave a gap.
pub(crate) struct Line {
    pub(crate) name: String,
    /// As CSS has it.
    pub(crate) colour: String,
    pub(crate) points: Vec<[f64; 2]>,
}

/// Lines over one axis.
pub(crate) struct Plot<'a> {
    pub(crate) caption: &'a str,
    /// What is counted to the right and upwards; may be empty.
    pub(crate) axes: [&'a str; 2],
    /// Ends of both axes.
    pub(crate) range: [[f64; 2]; 2],
    /// Width and height of the ground, in pixels of a page that has room.
    pub(crate) size: [f64; 2],
    pub(crate) lines: Vec<Line>,
}

/// Room for numbers and words to the left, above, to the right and below.
const MARGIN: [f64; 4] = [44.0, 8.0, 12.0, 32.0];

/// At most `count` round numbers of a range, and how many decimals they have.
fn ticks([low, high]: [f64; 2], count: f64) -> (Vec<f64>, usize) {
    let least = (high - low) / count;
    if !(least.is_finite() && least > 0.0) {
        return (vec![low], 0);
    }
    let power = 10f64.powf(least.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].map(|n| n * power).into_iter().find(|step| *step >= least * (1.0 - 1e-9));
    let step = step.unwrap_or(least);
    let first = (low / step - 1e-9).ceil();
    let ticks =
        (0..=count as usize).map(|i| (first + i as f64) * step).filter(|tick| *tick <= high + step * 1e-6);
    (ticks.collect(), (-step.log10().floor()).max(0.0) as usize)
}

impl Plot<'_> {
    /// As a figure with its caption and a legend.
    pub(crate) fn figure(&self) -> String {
        let Plot { caption, axes: [across, upwards], range, size: [w, h], lines } = self;
        let [left, top, right, bottom] = MARGIN;
        let along = |value: f64, [low, high]: [f64; 2]| (value - low) / (high - low).max(f64::MIN_POSITIVE);
        let x = |value: f64| left + w * along(value, range[0]);
        let y = |value: f64| top + h * (1.0 - along(value, range[1]));
        let (mut ground, mut words) = (String::new(), String::new());
        let (ticks_x, decimals) = ticks(range[0], w / 50.0);
        for tick in ticks_x {
            ground += &format!("M{:.1} {top}V{:.1}", x(tick), top + h);
            words += &format!(
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{tick:.decimals$}</text>",
                x(tick),
                top + h + 12.0
            );
        }
        let (ticks_y, decimals) = ticks(range[1], h / 30.0);
        for tick in ticks_y {
            ground += &format!("M{left} {:.1}H{:.1}", y(tick), left + w);
            words += &format!(
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{tick:.decimals$}</text>",
                left - 4.0,
                y(tick) + 3.5
            );
        }
        words += &format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text><text transform=\"translate(10 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            left + w / 2.0,
            top + h + 26.0,
            escaped(across),
            top + h / 2.0,
            escaped(upwards)
        );
        let (mut drawn, mut legend) = (String::new(), String::new());
        for line in lines {
            let colour = escaped(&line.colour);
            for part in line.points.split(|[_, y]| !y.is_finite()).filter(|part| !part.is_empty()) {
                let mut places: Vec<String> =
                    part.iter().map(|[a, b]| format!("{:.1},{:.1}", x(*a), y(*b))).collect();
                if places.len() == 1 {
                    // A line to itself is a dot.
                    places.push(places[0].clone());
                }
                drawn += &format!("<polyline points=\"{}\" stroke=\"{colour}\"/>", places.join(" "));
            }
            legend += &format!("<br><span style=\"color: {colour}\">&#9632;</span> {}", escaped(&line.name));
        }
        let [wide, tall] = [left + w + right, top + h + bottom];
        let caption = escaped(caption);
        format!(
            "<figure><svg width=\"{wide}\" viewBox=\"0 0 {wide} {tall}\" role=\"img\" aria-label=\"{caption}\"><path d=\"{ground}\" stroke=\"#8884\"/>\
             <rect x=\"{left}\" y=\"{top}\" width=\"{w}\" height=\"{h}\" fill=\"none\" stroke=\"#8888\"/>\
             <g fill=\"none\" stroke-width=\"1.6\" stroke-linecap=\"round\" stroke-linejoin=\"round\">{drawn}</g>{words}</svg>\
             <figcaption>{caption}{legend}</figcaption></figure>\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers_within_the_range() {
        assert_eq!(ticks([0.0, 1.0], 5.0), (vec![0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0], 1));
        assert_eq!(ticks([1.0, 41.0], 8.0), (vec![5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0], 0));
        assert_eq!(ticks([3.0, 3.0], 5.0), (vec![3.0], 0));
    }

    #[test]
    fn gaps_part_a_line() {
        let points = vec![[0.0, 0.0], [1.0, f64::NAN], [2.0, 1.0]];
        let line = Line { name: "<a>".into(), colour: "red".into(), points };
        let plot = Plot {
            caption: "c",
            axes: ["x", "y"],
            range: [[0.0, 2.0], [0.0, 1.0]],
            size: [100.0, 50.0],
            lines: vec![line],
        };
        let figure = plot.figure();
        assert_eq!(figure.matches("<polyline").count(), 2);
        assert!(
            figure.contains("points=\"144.0,8.0 144.0,8.0\"")
                && figure.contains("&lt;a&gt;")
                && !figure.contains("NaN")
        );
    }
}
