//! [`Pipeline`]: the stages of a configuration, in their order.

use std::fmt;

use ingest::record::TelemetryRecord;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::applied::Applied;
use crate::limits::STAGES_MAX;
use crate::stage::Stage;

/// The stages that records go through, one after the other. Without any, records stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Pipeline(Vec<Stage>);

/// More stages than a list may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} stages are over the maximum of {STAGES_MAX}")]
pub struct TooManyStages(usize);

/// What one stage did.
#[derive(Clone, Copy, Debug)]
pub struct Step<'s> {
    /// Its place in the list, counted from 1.
    pub number: usize,
    /// The stage.
    pub stage: &'s Stage,
    /// Records that it was given.
    pub records_in: usize,
    /// What it made of them.
    pub applied: &'s Applied,
}

/// An order of two stages that makes little sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stage {earlier} ({}) before stage {later} ({}): {why}", .kinds.0, .kinds.1)]
pub struct Warning {
    /// Place of the earlier stage, counted from 1.
    pub earlier: usize,
    /// Place of the later one.
    pub later: usize,
    /// Their kinds.
    pub kinds: (&'static str, &'static str),
    /// What comes of it.
    pub why: &'static str,
}

impl Pipeline {
    /// The stages, in their order.
    pub fn stages(&self) -> &[Stage] {
        &self.0
    }

    /// What the stages make of the records together.
    pub fn run(&self, records: Vec<TelemetryRecord>) -> Vec<TelemetryRecord> {
        self.run_with(records, |_| ())
    }

    /// As [`run`](Self::run), telling what each stage did, in their order.
    pub fn run_with(
        &self,
        mut records: Vec<TelemetryRecord>,
        mut each: impl FnMut(Step<'_>),
    ) -> Vec<TelemetryRecord> {
        for (number, stage) in (1..).zip(&self.0) {
            let records_in = records.len();
            let applied = stage.apply(records);
            each(Step { number, stage, records_in, applied: &applied });
            records = applied.records;
        }
        records
    }

    /// Orders of stages that make little sense; none of them is an error.
    pub fn warnings(&self) -> Vec<Warning> {
        let numbered = || (1..).zip(&self.0);
        let mut warnings = Vec::new();
        for (later, second) in numbered() {
            for (earlier, first) in numbered().take(later - 1) {
                let odd = ODD_ORDERS.iter().filter(|(is_odd, _)| is_odd(first, second));
                let kinds = (first.kind(), second.kind());
                warnings.extend(odd.map(|(_, why)| Warning { earlier, later, kinds, why }));
            }
        }
        warnings
    }
}

/// Whether an earlier and a later stage make little sense in this order, and why.
type OddOrder = (fn(&Stage, &Stage) -> bool, &'static str);

const ODD_ORDERS: [OddOrder; 8] = [
    (
        |first, second| matches!((first, second), (Stage::Fill(_), Stage::Resample(_))),
        "what was filled counts as measured",
    ),
    (
        |first, second| matches!((first, second), (Stage::Fill(_), Stage::Validate(_))),
        "a bad value is used to fill gaps before it is found",
    ),
    (
        |first, second| matches!((first, second), (Stage::Resample(_), Stage::Validate(_))),
        "a bad value is part of a cell before it is found",
    ),
    (
        |first, second| {
            matches!((first, second), (Stage::Resample(_) | Stage::Fill(_), Stage::Deduplicate(_)))
        },
        "records that are there twice count twice before they are found",
    ),
    (
        |first, second| match (first, second) {
            (Stage::Resample(resample), Stage::Fill(fill)) => resample.every_s != fill.every_s,
            _ => false,
        },
        "`every_s` differs: gaps are looked for on another grid",
    ),
    (
        |first, second| match (first, second) {
            (Stage::Resample(first), Stage::Resample(second)) => {
                second.every_s.micros() <= first.every_s.micros()
            }
            _ => false,
        },
        "the second grid is no coarser than the first: it changes little or nothing",
    ),
    (
        |first, second| {
            let removes = matches!(second, Stage::Validate(_) | Stage::Deduplicate(_) | Stage::Filter(_));
            matches!(first, Stage::Prioritise(_)) && removes
        },
        "the budget is spent on records that are left out later",
    ),
    (
        |first, second| match (first, second) {
            (Stage::Filter(filter), Stage::Enrich(_)) => filter.labels.iter().next().is_some(),
            (Stage::Prioritise(stage), Stage::Enrich(_)) => {
                stage.critical.iter().any(|rule| rule.labels.iter().next().is_some())
            }
            _ => false,
        },
        "labels are asked for before they are given",
    ),
];

impl TryFrom<Vec<Stage>> for Pipeline {
    type Error = TooManyStages;

    fn try_from(stages: Vec<Stage>) -> Result<Self, TooManyStages> {
        if stages.len() > STAGES_MAX { Err(TooManyStages(stages.len())) } else { Ok(Self(stages)) }
    }
}

impl<'de> Deserialize<'de> for Pipeline {
    /// Stage by stage, so that what is wrong is said of one with its place in the list: the text of a table that
    /// is chosen by its `kind` has no line any more.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Pipeline;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of stages")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Pipeline, A::Error> {
                let mut stages = Vec::new();
                let wrong = |number: usize, error: A::Error| {
                    A::Error::custom(format_args!("stage {number}: {}", error.to_string().trim_end()))
                };
                while let Some(stage) = list.next_element().map_err(|error| wrong(stages.len() + 1, error))? {
                    stages.push(stage);
                }
                Pipeline::try_from(stages).map_err(A::Error::custom)
            }
        }

        deserializer.deserialize_seq(InOrder)
    }
}

/// One line: the counts, and the first reason.
impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Applied { records, left_out, records_left_out, values_left_out, gaps_left_open } = self.applied;
        write!(
            f,
            "stage {} ({}): {} records in, {} out",
            self.number,
            self.stage.kind(),
            self.records_in,
            records.len()
        )?;
        let counts = [
            (records_left_out, "records left out"),
            (values_left_out, "values made missing"),
            (gaps_left_open, "gaps left open"),
        ];
        for (count, what) in counts.into_iter().filter(|(count, _)| **count > 0) {
            write!(f, ", {count} {what}")?;
        }
        left_out.first().map_or(Ok(()), |first| write!(f, "; the first: {first}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{ONE_OF_EACH_KIND, listed, pipeline, record, stage, stage_error};

    #[test]
    fn stages_run_in_their_order_and_each_tells_what_it_did() {
        let list = pipeline(
            "[[stage]]\nkind = 'validate'\nrule = [{ metrics = ['x'], max = 9 }]\n\
             [[stage]]\nkind = 'deduplicate'\n\
             [[stage]]\nkind = 'resample'\nevery_s = 60\nhow = 'sum'",
        );
        let records = [(0, 1.0), (1, 99.0), (1, 2.0), (70, 4.0)];
        let records = records.map(|(at, value)| record("a", at, &["x"], &[value])).to_vec();
        let mut told = Vec::new();
        let out = list.run_with(records, |step| told.push(step.to_string()));
        assert_eq!(out.iter().map(|record| record.values[0]).collect::<Vec<_>>(), [3.0, 4.0]);
        assert_eq!(
            told,
            [
                "stage 1 (validate): 4 records in, 4 out, 1 values made missing; \
             the first: source `a` at 1000 ms, metric `x`: 99 is over the maximum of 9",
                "stage 2 (deduplicate): 4 records in, 3 out, 1 records left out; \
             the first: source `a` at 1000 ms: another record of this time has other values, and counts",
                "stage 3 (resample): 3 records in, 2 out",
            ]
        );
    }

    #[test]
    fn every_stage_leaves_out_records_whose_values_nobody_can_name() {
        let mut ragged = record("a", 0, &["x"], &[1.0]);
        ragged.values.push(2.0);
        for text in ONE_OF_EACH_KIND {
            let applied = stage(text).apply(vec![ragged.clone()]);
            assert_eq!((applied.records.len(), applied.records_left_out), (0, 1), "{text}");
            assert_eq!(applied.left_out[0].to_string(), "source `a` at 0 ms: 2 values for 1 metrics");
        }
    }

    #[test]
    fn an_order_that_makes_little_sense_is_warned_of() {
        let kinds = |texts: &[&str]| {
            pipeline(&listed(texts)).warnings().iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let (fill, minute) = ("kind = 'fill'\nevery_s = 60\nrows_max = 3", "kind = 'resample'\nevery_s = 60");
        assert_eq!(kinds(&[minute, fill]), [""; 0]);
        assert_eq!(
            kinds(&[fill, minute]),
            ["stage 1 (fill) before stage 2 (resample): what was filled counts as measured"]
        );
        assert_eq!(kinds(&[minute, minute]).len(), 1);
        assert_eq!(kinds(&["kind = 'resample'\nevery_s = 30", fill]).len(), 1);
        assert_eq!(kinds(&[minute, "kind = 'deduplicate'", "kind = 'validate'"]).len(), 2);
        let by_label = "kind = 'filter'\naction = 'keep'\nlabels = { role = 'db' }";
        let labels = "kind = 'enrich'\nrule = [{ sources = ['*'], labels = { role = 'db' } }]";
        assert_eq!(kinds(&[by_label, labels]).len(), 1);
        assert_eq!(kinds(&[labels, by_label]).len(), 0);
        let budget = "kind = 'prioritise'\nbudget = 1\ncritical = [{ sources = ['*'] }]";
        assert_eq!(kinds(&[budget, by_label, labels]).len(), 2);
    }

    #[test]
    fn a_list_is_written_as_it_was_read() {
        let list = pipeline(&listed(&ONE_OF_EACH_KIND));
        let json = serde_json::to_string(&list).unwrap();
        assert_eq!(serde_json::from_str::<Pipeline>(&json).unwrap(), list);
        assert_eq!(list.stages().len(), 8);
    }

    #[test]
    fn a_stage_that_cannot_be_is_named_by_its_place() {
        #[derive(Debug, Deserialize)]
        struct Config {
            #[expect(dead_code, reason = "it is not read: the list is wrong")]
            stage: Pipeline,
        }
        let text = listed(&["kind = 'deduplicate'", "kind = 'fill'\nevery_s = 60\nrows_max = 0"]);
        let error = toml::from_str::<Config>(&text).unwrap_err().to_string();
        assert!(error.contains("\nstage 2: `rows_max` is not within 1 to 1440"), "{error}");
    }

    #[test]
    fn an_unknown_kind_and_too_many_stages_are_refused() {
        let error = stage_error("kind = 'blend'");
        assert!(error.contains("unknown variant `blend`"), "{error}");
        let many = vec![stage("kind = 'deduplicate'"); 65];
        let error = Pipeline::try_from(many).unwrap_err().to_string();
        assert_eq!(error, "65 stages are over the maximum of 64");
    }
}
