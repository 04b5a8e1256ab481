//! Values by size: a table, and plots of its columns. Start at [`Part`].

use crate::figures::digits;
use crate::plot::{Curve, Plot};

/// One thing that grows, and what it costs.
pub(super) struct Part {
    pub(super) title: &'static str,
    pub(super) text: &'static str,
    /// What grows.
    pub(super) of: &'static str,
    pub(super) columns: &'static [&'static str],
    /// By size, a value for each column.
    pub(super) rows: Vec<(u32, Vec<f64>)>,
    pub(super) drawings: &'static [Drawing],
}

/// Columns that are drawn together.
pub(super) struct Drawing {
    pub(super) file: &'static str,
    pub(super) title: &'static str,
    pub(super) y: &'static str,
    /// By their index.
    pub(super) columns: &'static [usize],
}

impl Part {
    /// Markdown.
    pub(super) fn table(&self) -> String {
        let mut lines = vec![
            format!("| {} | {} |", self.of, self.columns.join(" | ")),
            format!("|---{}|", "|---".repeat(self.columns.len())),
        ];
        for (size, values) in &self.rows {
            let cells: Vec<String> = values.iter().map(|value| digits(*value)).collect();
            lines.push(format!("| {} | {} |", thousands(*size), cells.join(" | ")));
        }
        lines.join("\n")
    }

    /// Each with the file that it goes into.
    pub(super) fn plots(&self) -> impl Iterator<Item = (&'static str, Plot)> {
        self.drawings.iter().map(|drawing| {
            let plot = Plot {
                title: drawing.title,
                x: self.of,
                y: drawing.y,
                curves: drawing.columns.iter().map(|column| self.curve(*column)).collect(),
            };
            (drawing.file, plot)
        })
    }

    fn curve(&self, column: usize) -> Curve {
        let name = self.columns.get(column).copied().unwrap_or("");
        Curve {
            // The unit stands at the axis.
            name: name.split_once(", ").map_or(name, |(name, _)| name).to_owned(),
            points: self
                .rows
                .iter()
                .filter_map(|(size, values)| Some((f64::from(*size), *values.get(column)?)))
                .collect(),
        }
    }
}

/// With commas between groups of three.
fn thousands(n: u32) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_and_plot_have_the_same_values() {
        let part = Part {
            title: "Messages",
            text: "",
            of: "messages",
            columns: &["STAT, ms", "memory, KiB"],
            rows: vec![(100, vec![1.0, 10.0]), (1_000_000, vec![2.0, 20.0])],
            drawings: &[Drawing {
                file: "memory.svg",
                title: "Memory",
                y: "KiB",
                columns: &[1],
            }],
        };
        assert_eq!(
            part.table(),
            "| messages | STAT, ms | memory, KiB |\n|---|---|---|\n| 100 | 1.00 | 10.0 |\n| 1,000,000 | 2.00 | 20.0 |"
        );
        let (file, plot) = part.plots().next().unwrap();
        assert_eq!(file, "memory.svg");
        assert_eq!(plot.curves[0].name, "memory");
        assert_eq!(plot.curves[0].points, [(100.0, 10.0), (1_000_000.0, 20.0)]);
    }
}
