//! How often values occur, on a logarithmic scale, with the range of the codes and what it cuts off.

use super::picture::{BLUE, GREEN, INK, ORANGE, Picture, words};
use niello_codegen::Result;
use plotters::prelude::{ChartBuilder, Color, IntoLogRange, PathElement, Rectangle, TRANSPARENT};

/// Values of a tensor.
pub(crate) struct Histogram<'a> {
    pub(crate) label: &'a str,
    /// Ends of the first and the last part.
    pub(crate) ends: [f64; 2],
    /// Values in each part.
    pub(crate) counts: &'a [f64],
    /// Smallest and largest value that the codes reach; absent in floating point.
    pub(crate) range: Option<[f64; 2]>,
}

impl Histogram<'_> {
    /// Whether the middle of a part is beyond the range.
    fn is_cut(&self, middle: f64) -> bool {
        self.range.is_some_and(|[low, high]| middle < low || middle > high)
    }

    /// As a picture.
    pub(crate) fn picture(&self, size: [u32; 2]) -> Result<Picture> {
        let [low, high] = self.ends;
        let most = self.counts.iter().copied().fold(1.0, f64::max);
        let width = (high - low) / self.counts.len().max(1) as f64;
        Picture::plot(size, self.label, |ground| {
            let mut chart = ChartBuilder::on(ground)
                .margin(8)
                .x_label_area_size(20)
                .y_label_area_size(46)
                .build_cartesian_2d(low..high, (0.5..2.0 * most).log_scale())?;
            chart
                .configure_mesh()
                .disable_x_mesh()
                .axis_style(INK.mix(0.5))
                .bold_line_style(INK.mix(0.15))
                .light_line_style(TRANSPARENT)
                .label_style(words())
                .x_labels(6)
                .y_labels(5)
                .y_label_formatter(&|count| format!("{count:.0}"))
                .draw()?;
            if let Some([from, to]) = self.range {
                let ground = [(from.max(low), 0.5), (to.min(high), 2.0 * most)];
                chart.draw_series([Rectangle::new(ground, GREEN.mix(0.13).filled())])?;
                for end in [from, to].into_iter().filter(|end| (low..=high).contains(end)) {
                    let line = vec![(end, 0.5), (end, 2.0 * most)];
                    chart.draw_series([PathElement::new(line, GREEN.stroke_width(2))])?;
                }
            }
            let parts = self.counts.iter().enumerate().filter(|(_, count)| **count > 0.0);
            chart.draw_series(parts.map(|(i, count)| {
                let left = low + i as f64 * width;
                let colour = if self.is_cut(left + width / 2.0) { ORANGE } else { BLUE };
                Rectangle::new([(left, 0.5), (left + width, *count)], colour.filled())
            }))?;
            Ok(())
        })
    }
}
