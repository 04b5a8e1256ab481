//! What was measured, and how it is shown. Start at [`Values`].

use std::collections::BTreeMap;

use serde_json::json;

use super::row::{BOUNDS, Bound, Row, Source};
use crate::figures::{median, ratios as each_ratio, shown, spread};
use crate::server::Contestant;
use crate::work::Outcome;

/// Every value of each measure.
#[derive(Default)]
pub(super) struct Values(BTreeMap<(Row, usize), ByContestant>);

/// In the order of the rounds.
type ByContestant = Vec<(Contestant, Vec<f64>)>;

impl Values {
    /// Takes in what a turn led to.
    pub(super) fn note(&mut self, row: Row, contestant: Contestant, outcome: &Outcome) {
        for (nth, measure) in row.measures().iter().enumerate() {
            if let Some(value) = measure.metric.of(outcome) {
                self.push(row, nth, contestant, value);
            }
        }
    }

    fn push(&mut self, row: Row, nth: usize, contestant: Contestant, value: f64) {
        let by_contestant = self.0.entry((row, nth)).or_default();
        match by_contestant.iter_mut().find(|(which, _)| *which == contestant) {
            Some((_, values)) => values.push(value),
            None => by_contestant.push((contestant, vec![value])),
        }
    }

    fn of(&self, Source(row, nth, contestant): Source) -> &[f64] {
        self.0
            .get(&(row, nth))
            .map_or(&[], |by_contestant| of(by_contestant, contestant))
    }

    /// Restante beside the best of Dovecot's set-ups: the one with the least median. Ratios are those of each round;
    /// empty if Dovecot had no part.
    pub(super) fn ratios(&self) -> String {
        let mut lines = Vec::new();
        for ((row, nth), by_contestant) in &self.0 {
            let measure = row.measures()[*nth];
            let own = own(by_contestant);
            let (Some((best, theirs)), Some(aim)) = (best(by_contestant), measure.aim) else {
                continue;
            };
            let Some(ratio) = ratio(own, theirs) else {
                continue;
            };
            lines.push(format!(
                "| {} | {} | {} | {} | {ratio} | {aim} | {} |",
                measure.what,
                shown(own),
                shown(theirs),
                name(best),
                shown(of(by_contestant, Contestant::Ceiling)),
            ));
        }
        under(
            "| what | restante | dovecot's best | which | ratio (least to most) | aim | ceiling |\n|---|---|---|---|---|---|---|",
            &lines,
        )
    }

    /// Restante beside what bounds it; empty if nothing of it was measured.
    pub(super) fn bounds(&self) -> String {
        let lines: Vec<String> = BOUNDS.iter().filter_map(|bound| self.bound(bound)).collect();
        under(
            "| what | restante | beside | which | ratio (least to most) | aim |\n|---|---|---|---|---|---|",
            &lines,
        )
    }

    fn bound(&self, bound: &Bound) -> Option<String> {
        let (own, theirs) = (self.of(bound.own), self.of(bound.theirs));
        Some(format!(
            "| {} | {} | {} | {} | {} | {} |",
            bound.what,
            shown(own),
            shown(theirs),
            bound.beside,
            ratio(own, theirs)?,
            bound.aim
        ))
    }

    /// The medians of everybody.
    pub(super) fn medians(&self) -> String {
        let others = [
            Contestant::DovecotInstalled,
            Contestant::DovecotTuned,
            Contestant::DovecotShared,
            Contestant::DovecotDurable,
            Contestant::Ceiling,
            Contestant::Bare,
        ];
        let names: Vec<&str> = others.into_iter().map(name).collect();
        let mut lines = vec![
            format!("| medians | restante | {} |", names.join(" | ")),
            format!("|---|---{}|", "|---".repeat(others.len())),
        ];
        for ((row, nth), by_contestant) in &self.0 {
            let cells: Vec<String> = others
                .iter()
                .map(|which| shown(of(by_contestant, *which)))
                .collect();
            lines.push(format!(
                "| {} | {} | {} |",
                row.measures()[*nth].what,
                shown(own(by_contestant)),
                cells.join(" | ")
            ));
        }
        lines.join("\n")
    }

    /// The same for programs.
    pub(super) fn json(&self) -> serde_json::Value {
        let rows: Vec<serde_json::Value> = self
            .0
            .iter()
            .map(|((row, nth), by_contestant)| {
                let measure = row.measures()[*nth];
                let by_name: serde_json::Map<String, serde_json::Value> = by_contestant
                    .iter()
                    .map(|(contestant, values)| (name(*contestant).to_owned(), json!(values)))
                    .collect();
                json!({ "what": measure.what, "aim": measure.aim, "values": by_name })
            })
            .collect();
        let bounds: Vec<serde_json::Value> = BOUNDS
            .iter()
            .map(|bound| {
                let ratios = each_ratio(self.of(bound.own), self.of(bound.theirs));
                json!({ "what": bound.what, "beside": bound.beside, "aim": bound.aim, "ratios": ratios })
            })
            .collect();
        json!({ "rows": rows, "bounds": bounds })
    }
}

/// A table, if it has lines.
fn under(head: &str, lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    format!("{head}\n{}", lines.join("\n"))
}

/// The median of the ratios round by round, with the least and the most.
fn ratio(own: &[f64], theirs: &[f64]) -> Option<String> {
    let each = each_ratio(own, theirs);
    let (ratio, (least, most)) = (median(&each)?, spread(&each)?);
    Some(format!("{ratio:.3} ({least:.3} to {most:.3})"))
}

fn of(by_contestant: &[(Contestant, Vec<f64>)], which: Contestant) -> &[f64] {
    by_contestant
        .iter()
        .find(|(contestant, _)| *contestant == which)
        .map_or(&[], |(_, values)| values)
}

/// Those of Restante, over whatever storage the row has.
fn own(by_contestant: &[(Contestant, Vec<f64>)]) -> &[f64] {
    by_contestant
        .iter()
        .find(|(contestant, _)| contestant.is_restante())
        .map_or(&[], |(_, values)| values)
}

/// Dovecot's set-up with the least median.
fn best(by_contestant: &[(Contestant, Vec<f64>)]) -> Option<(Contestant, &[f64])> {
    by_contestant
        .iter()
        .filter(|(contestant, _)| contestant.is_dovecot())
        .filter_map(|(contestant, values)| Some((median(values)?, *contestant, &values[..])))
        .min_by(|(one, ..), (other, ..)| one.total_cmp(other))
        .map(|(_, contestant, values)| (contestant, values))
}

const fn name(contestant: Contestant) -> &'static str {
    match contestant {
        Contestant::Restante => "restante",
        Contestant::RestantePostgres => "restante over Postgres",
        Contestant::DovecotInstalled => "as installed",
        Contestant::DovecotTuned => "tuned",
        Contestant::DovecotShared => "shared",
        Contestant::DovecotDurable => "tuned, fsync on",
        Contestant::Ceiling => "ceiling",
        Contestant::Bare => "bare",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(row: Row, all: &[(Contestant, &[f64])]) -> Values {
        let mut values = Values::default();
        for (contestant, each) in all {
            for value in *each {
                values.push(row, 0, *contestant, *value);
            }
        }
        values
    }

    #[test]
    fn ratio_is_to_the_best_of_dovecot_round_by_round() {
        let values = values(
            Row::Sessions,
            &[
                (Contestant::Restante, &[1.0, 2.0, 3.0]),
                (Contestant::DovecotInstalled, &[20.0, 20.0, 20.0]),
                (Contestant::DovecotTuned, &[4.0, 4.0, 4.0]),
                (Contestant::Ceiling, &[0.25]),
            ],
        );
        let table = values.ratios();
        let line = table.lines().last().unwrap();
        assert_eq!(
            line,
            "| CPU s for 1,000 sessions | 2.00 | 4.00 | tuned | 0.500 (0.250 to 0.750) | 0.25 | 0.250 |"
        );
        assert!(
            values
                .medians()
                .contains("| 2.00 | 20.0 | 4.00 | - | - | 0.250 | - |")
        );
        assert_eq!(values.bounds(), "");
    }

    #[test]
    fn bound_is_what_a_machine_can_do() {
        let values = values(
            Row::Throughput,
            &[(Contestant::Restante, &[0.5]), (Contestant::Bare, &[0.25])],
        );
        let table = values.bounds();
        let line = table.lines().last().unwrap();
        assert_eq!(
            line,
            "| CPU s for a GB | 0.500 | 0.250 | a plain writer of memory | 2.000 (2.000 to 2.000) | 2.5 |"
        );
        assert_eq!(table.lines().count(), 3);
        assert_eq!(values.ratios(), "", "no Dovecot, no table");
    }
}
