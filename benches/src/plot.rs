//! A plot of curves, as SVG. An axis that spans decades is logarithmic, any other begins at 0. Start at [`Plot::svg`].

use std::ops::Range;

use anyhow::Context as _;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use crate::figures::digits;

const SIZE: (u32, u32) = (720, 420);
const FONT: &str = "sans-serif";
/// From this ratio of the largest to the least on, an axis is logarithmic.
const DECADES: f64 = 20.0;
/// Lines of a linear axis, at most.
const LINES: f64 = 8.0;
const COLOURS: [RGBColor; 4] = [
    RGBColor(0x1f, 0x5f, 0xa8),
    RGBColor(0xc0, 0x52, 0x1a),
    RGBColor(0x2c, 0x83, 0x4a),
    RGBColor(0x76, 0x45, 0x9c),
];

/// What is drawn.
#[derive(Debug)]
pub(crate) struct Plot {
    pub(crate) title: &'static str,
    pub(crate) x: &'static str,
    pub(crate) y: &'static str,
    pub(crate) curves: Vec<Curve>,
}

/// Points, from left to right.
#[derive(Debug)]
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// Where values stand on an axis.
#[derive(Clone, Debug)]
struct Axis {
    is_log: bool,
    /// Ends of the axis: values, or what ten is raised to.
    from: f64,
    to: f64,
    /// Values.
    ticks: Vec<f64>,
}

impl Plot {
    /// Draws it. A curve without a point is left out.
    pub(crate) fn svg(&self) -> anyhow::Result<String> {
        let points = || self.curves.iter().flat_map(|curve| &curve.points);
        let x = Axis::over(points().map(|(x, _)| *x)).context("a plot of nothing")?;
        let y = Axis::over(points().map(|(_, y)| *y)).context("a plot of nothing")?;
        let mut text = String::new();
        {
            let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
            area.fill(&WHITE)?;
            let mut chart = ChartBuilder::on(&area)
                .caption(self.title, (FONT, 20))
                .margin(12)
                .margin_right(28)
                .x_label_area_size(44)
                .y_label_area_size(64)
                .build_cartesian_2d(x.clone(), y.clone())?;
            chart
                .configure_mesh()
                .light_line_style(TRANSPARENT)
                .x_desc(self.x)
                .y_desc(self.y)
                .label_style((FONT, 15))
                .axis_desc_style((FONT, 16))
                .draw()?;
            for (curve, colour) in self.curves.iter().zip(COLOURS.iter().cycle()) {
                let placed: Vec<(f64, f64)> = curve
                    .points
                    .iter()
                    .copied()
                    .filter(|(at, value)| x.has_place_for(*at) && y.has_place_for(*value))
                    .collect();
                if placed.is_empty() {
                    continue;
                }
                let line = LineSeries::new(placed, colour.stroke_width(2)).point_size(4);
                chart
                    .draw_series(line)?
                    .label(curve.name.as_str())
                    .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
            }
            if self.curves.len() > 1 {
                chart
                    .configure_series_labels()
                    .position(SeriesLabelPosition::UpperLeft)
                    .background_style(WHITE.mix(0.85))
                    .border_style(BLACK.mix(0.3))
                    .label_font((FONT, 15))
                    .draw()?;
            }
            area.present()?;
        }
        Ok(text)
    }
}

impl Axis {
    /// One that holds all values; `None` of none.
    fn over(values: impl Iterator<Item = f64> + Clone) -> Option<Self> {
        let most = values.clone().reduce(f64::max)?;
        let is_whole = values.clone().all(|value| value.fract() == 0.0);
        let Some(least) = values.filter(|value| *value > 0.0).reduce(f64::min) else {
            return Some(Self::linear(1.0, 0.0));
        };
        Some(if most / least > DECADES {
            Self::logarithmic(least, most)
        } else {
            Self::linear(most, if is_whole { 1.0 } else { 0.0 })
        })
    }

    /// Whole decades.
    fn logarithmic(least: f64, most: f64) -> Self {
        let (from, to) = (least.log10().floor(), most.log10().ceil());
        Self {
            is_log: true,
            from,
            to,
            ticks: steps(from, to, 1.0).map(|decade| 10.0_f64.powf(decade)).collect(),
        }
    }

    /// From 0, in steps of 1, 2 or 5, none smaller than `least_step`.
    fn linear(most: f64, least_step: f64) -> Self {
        let decade = 10.0_f64.powf((most / LINES).log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .map(|digit| digit * decade)
            .into_iter()
            .find(|step| most / step <= LINES)
            .unwrap_or(most)
            .max(least_step);
        // Room above the highest point.
        let to = ((most / step).floor() + 1.0) * step;
        Self {
            is_log: false,
            from: 0.0,
            to,
            ticks: steps(0.0, to, step).collect(),
        }
    }

    /// What is not above 0 has no place among decades.
    fn has_place_for(&self, value: f64) -> bool {
        !self.is_log || value > 0.0
    }

    fn value(&self, place: f64) -> f64 {
        if self.is_log { 10.0_f64.powf(place) } else { place }
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let place = if self.is_log { value.log10() } else { *value };
        RangedCoordf64::from(self.from..self.to).map(&place, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.value(self.from)..self.value(self.to)
    }
}

impl ValueFormatter<f64> for Axis {
    fn format(value: &f64) -> String {
        label(*value)
    }
}

fn label(value: f64) -> String {
    if value >= 1e6 {
        return format!("{}M", value / 1e6);
    }
    if value >= 1e3 {
        return format!("{}k", value / 1e3);
    }
    let text = if value < 1.0 {
        digits(value)
    } else {
        format!("{value:.1}")
    };
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text.is_empty() { "0" } else { text }.to_owned()
}

fn steps(from: f64, to: f64, step: f64) -> impl Iterator<Item = f64> {
    (0_u32..)
        .map(move |nth| f64::from(nth).mul_add(step, from))
        .take_while(move |at| *at <= to + step / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_spans_decades_is_logarithmic() {
        let axis = Axis::over([100.0, 1_000_000.0].into_iter()).unwrap();
        assert!(axis.is_log);
        let labels: Vec<String> = axis.ticks.iter().map(|tick| label(*tick)).collect();
        assert_eq!(labels, ["100", "1k", "10k", "100k", "1M"]);
        assert!(!axis.has_place_for(0.0));
    }

    #[test]
    fn other_axes_begin_at_nought_and_end_above_the_highest() {
        let axis = Axis::over([0.5, 3.0].into_iter()).unwrap();
        let labels: Vec<String> = axis.ticks.iter().map(|tick| label(*tick)).collect();
        assert_eq!(labels, ["0", "0.5", "1", "1.5", "2", "2.5", "3", "3.5"]);
        let axis = Axis::over([1.0, 2.0, 3.0].into_iter()).unwrap();
        assert!(axis.to > 3.0);
        let labels: Vec<String> = axis.ticks.iter().map(|tick| label(*tick)).collect();
        assert_eq!(labels, ["0", "1", "2", "3", "4"], "no half frontends");
    }

    #[test]
    fn curve_and_names_are_in_the_drawing() {
        let curves = ["STAT", "UIDL"].map(|name| Curve {
            name: name.to_owned(),
            points: vec![(100.0, 1.0), (10_000.0, 90.0)],
        });
        let plot = Plot {
            title: "Times",
            x: "messages",
            y: "ms",
            curves: curves.into(),
        };
        let svg = plot.svg().unwrap();
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
        for word in ["Times", "messages", "STAT", "UIDL", "10k", "polyline"] {
            assert!(svg.contains(word), "{word} in {svg}");
        }
    }
}
