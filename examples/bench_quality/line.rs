//! Results: a method on a machine with a seed, and means of these.

use std::fmt;

use serde::Serialize;

use super::compare::METHODS;
use super::interval::interval;
use super::judge::mean;

/// Who is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    /// Those that trained.
    All,
    /// Others, with so many percent of their history.
    Newcomers(u8),
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all machines"),
            Self::Newcomers(percent) => write!(f, "newcomers with {percent} % of their history"),
        }
    }
}

impl Serialize for Setting {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// A method on a machine; without seed and node the mean over all of them.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) dataset: String,
    pub(crate) setting: Setting,
    pub(crate) method: &'static str,
    pub(crate) seed: Option<u64>,
    pub(crate) node: Option<String>,
    pub(crate) vus_pr: f64,
    pub(crate) auc_pr: f64,
    pub(crate) auc_roc: f64,
    /// Where it is known which metrics the faults disturbed, and the method says.
    pub(crate) hitrate_100: Option<f64>,
    pub(crate) hitrate_150: Option<f64>,
}

/// The mean of a method in a setting, and in what the mean VUS-PR lies but for chance: by the means of the seeds, which differ
/// by what training drew, and by the means of the machines, which differ by what machines were there.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Mean {
    #[serde(flatten)]
    pub(crate) line: Line,
    pub(crate) over_seeds: Option<[f64; 2]>,
    pub(crate) over_machines: Option<[f64; 2]>,
}

impl Mean {
    /// The interval to draw: over seeds where there is one, else over machines.
    pub(crate) fn drawn(&self) -> Option<[f64; 2]> {
        self.over_seeds.or(self.over_machines)
    }
}

/// Settings in the order in which they were judged.
pub(crate) fn settings(lines: &[Line]) -> Vec<Setting> {
    distinct(lines.iter().map(|line| line.setting))
}

/// Each value once, in the order in which they came.
pub(crate) fn distinct<T: PartialEq>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}

/// The mean of each method in each setting, in the order of settings and methods.
pub(crate) fn means(lines: &[Line]) -> Vec<Mean> {
    let settings = settings(lines).into_iter();
    settings
        .flat_map(|setting| METHODS.map(|method| (setting, method)))
        .filter_map(|of| one(lines, of))
        .collect()
}

fn one(lines: &[Line], (setting, method): (Setting, &'static str)) -> Option<Mean> {
    let of: Vec<&Line> =
        lines.iter().filter(|line| line.method == method && line.setting == setting).collect();
    let figure = |figure: fn(&Line) -> f64| mean(of.iter().map(|line| figure(line)));
    let hit_rate = |rate: fn(&Line) -> Option<f64>| mean(of.iter().filter_map(|line| rate(line)));
    let seeds = distinct(of.iter().map(|line| line.seed)).into_iter();
    let by_seed: Vec<f64> = seeds.filter_map(|seed| vus_pr(&of, |line| line.seed == seed)).collect();
    let nodes = distinct(of.iter().map(|line| &line.node)).into_iter();
    let by_machine: Vec<f64> = nodes.filter_map(|node| vus_pr(&of, |line| line.node == *node)).collect();
    let line = Line {
        dataset: of.first()?.dataset.clone(),
        setting,
        method,
        seed: None,
        node: None,
        vus_pr: figure(|line| line.vus_pr)?,
        auc_pr: figure(|line| line.auc_pr)?,
        auc_roc: figure(|line| line.auc_roc)?,
        hitrate_100: hit_rate(|line| line.hitrate_100),
        hitrate_150: hit_rate(|line| line.hitrate_150),
    };
    // A VUS-PR lies between 0 and 1, whatever the interval of two machines would say.
    let bounded = |values: &[f64]| interval(values).map(|ends| ends.map(|end| end.clamp(0.0, 1.0)));
    Some(Mean { line, over_seeds: bounded(&by_seed), over_machines: bounded(&by_machine) })
}

fn vus_pr(lines: &[&Line], is_of: impl Fn(&Line) -> bool) -> Option<f64> {
    mean(lines.iter().filter(|line| is_of(line)).map(|line| line.vus_pr))
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    /// A method on a machine.
    pub(crate) fn line(setting: Setting, method: &'static str, seed: u64, node: &str, vus_pr: f64) -> Line {
        Line {
            dataset: "made".to_owned(),
            setting,
            method,
            seed: Some(seed),
            node: Some(node.to_owned()),
            vus_pr,
            auc_pr: vus_pr,
            auc_roc: 0.9,
            hitrate_100: (method == "local").then_some(0.5),
            hitrate_150: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::samples::line;
    use super::*;

    #[test]
    fn a_mean_is_over_seeds_and_machines_and_its_intervals_are_by_each() {
        let of = |seed, node, value| line(Setting::All, "local", seed, node, value);
        let lines = [of(1, "a", 0.39), of(1, "b", 0.40), of(2, "a", 0.40), of(2, "b", 0.41)];
        let [mean] = &means(&lines)[..] else { panic!("one method in one setting") };
        assert!((mean.line.vus_pr - 0.4).abs() < 1e-12);
        // 0.395 and 0.405, by seed and by machine: half of the width is 12.7062 times half of their distance.
        for interval in [mean.over_seeds, mean.over_machines] {
            let [low, high] = interval.unwrap();
            assert!((high - 0.463_531).abs() < 1e-9 && (low - 0.336_469).abs() < 1e-9, "{interval:?}");
        }
        let far = [of(1, "a", 0.1), of(1, "b", 0.9)];
        assert_eq!(means(&far)[0].over_machines, Some([0.0, 1.0]), "no VUS-PR is beyond these");
        let one = &means(&lines[..1])[0];
        assert_eq!((one.over_seeds, one.drawn()), (None, None));
        assert_eq!(means(&lines[..2])[0].drawn(), means(&lines[..2])[0].over_machines);
    }

    #[test]
    fn json_has_the_same_keys_for_a_line_and_a_mean() {
        let lines = [line(Setting::Newcomers(5), "local", 1, "a", 0.25)];
        let of = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        let (one, mean) =
            (serde_json::to_value(&lines[0]).unwrap(), serde_json::to_value(&means(&lines)[0]).unwrap());
        assert_eq!(one["setting"], "newcomers with 5 % of their history");
        assert!(of(&one).iter().all(|key| of(&mean).contains(key)));
        assert!(mean["seed"].is_null() && mean["node"].is_null() && mean["over_seeds"].is_null());
    }
}
