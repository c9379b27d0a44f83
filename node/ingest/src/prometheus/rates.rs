//! Two scrapes to records: gauges as they are, totals by how fast they grow.

use std::collections::BTreeMap;
use std::sync::Arc;

use common::id::TenantId;
use common::units::Timestamp;

use super::names;
use super::text::{Role, Sample};
use crate::gathered::{Gathered, Outcome};

/// What an exporter told at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Scrape {
    /// When it was asked.
    pub at: Timestamp,
    /// What it said.
    pub samples: Vec<Sample>,
}

/// The label that names a source in a scrape, where one exporter speaks for many (federation, a push gateway).
/// Other labels are the exporter's own: a `host` of a web server is no machine.
const SOURCE_LABELS: [&str; 1] = ["instance"];

/// Endings of names, by what a value is.
const PER_SECOND: &str = ".per_s";
const MEAN: &str = ".mean";

/// Which value: source, name and role (`None` for all of a family), labels.
type Key<'s> = (Arc<str>, &'s str, Option<Role>, String);

/// How much came to a distribution in a time; NaN where that cannot be said.
struct Distribution {
    elapsed_s: f64,
    count: Option<f64>,
    sum: Option<f64>,
}

/// The records of `after`. What names no source is of `target`.
///
/// A counter is its growth a second since `before`; a distribution is its count and sum a second, and the mean
/// of what came to it in between. They are missing (NaN) without a scrape before, when no time has passed, and
/// when a total went backwards: whoever counts began anew.
pub fn records(before: Option<&Scrape>, after: &Scrape, tenant: TenantId, target: &str) -> Outcome {
    let mut out = Gathered::new(target, after.at);
    let known: BTreeMap<Key<'_>, (&Sample, Timestamp)> = before
        .iter()
        .flat_map(|scrape| scrape.samples.iter().map(|sample| (sample, sample.at.unwrap_or(scrape.at))))
        .map(|(sample, at)| (key(sample, &out), (sample, at)))
        .collect();
    let mut distributions: BTreeMap<(Key<'_>, Timestamp), Distribution> = BTreeMap::new();
    for sample in &after.samples {
        let at = sample.at.unwrap_or(after.at);
        let key = key(sample, &out);
        let earlier = known.get(&key);
        // What bears the time it bore before was told before.
        if earlier.is_some_and(|(earlier, _)| sample.at.is_some() && earlier.at == sample.at) {
            continue;
        }
        let elapsed_s = earlier.map_or(0, |(_, then)| at.micros_since(*then)) as f64 / 1e6;
        let growth = earlier.map(|(earlier, _)| sample.value - earlier.value).filter(|_| elapsed_s > 0.0);
        let (source, name, _, labels) = &key;
        let family = || ((Arc::clone(source), *name, None, labels.clone()), at);
        let over = Distribution { elapsed_s, count: None, sum: None };
        let rising = growth.filter(|growth| *growth >= 0.0);
        match sample.role {
            Role::Gauge => out.put(source, at, &[*name, labels.as_str()], Some(sample.value)),
            Role::Counter => {
                let rate = rising.map(|growth| growth / elapsed_s);
                out.put(source, at, &[*name, PER_SECOND, labels.as_str()], rate);
            }
            Role::Count => distributions.entry(family()).or_insert(over).count = rising.or(Some(f64::NAN)),
            // Negative values make a sum smaller: only the count tells whether both began anew.
            Role::Sum => distributions.entry(family()).or_insert(over).sum = growth.or(Some(f64::NAN)),
        }
    }
    for (((source, name, _, labels), at), Distribution { elapsed_s, count, sum }) in distributions {
        let began_anew = count.is_some_and(f64::is_nan);
        let sum = sum.map(|growth| if began_anew { f64::NAN } else { growth });
        let mut put = |ending: [&str; 2], value: f64| {
            out.put(&source, at, &[name, ending[0], ending[1], labels.as_str()], Some(value));
        };
        for (ending, growth) in [(".count", count), (".sum", sum)] {
            if let Some(growth) = growth {
                put([ending, PER_SECOND], growth / elapsed_s);
            }
        }
        if let (Some(count), Some(sum)) = (count, sum) {
            // Of none there is no mean: zero by zero is NaN.
            put([MEAN, ""], sum / count);
        }
    }
    out.into_outcome(tenant)
}

fn key<'s>(sample: &'s Sample, out: &Gathered) -> Key<'s> {
    let labels: Vec<(&str, &str)> = sample.labels.iter().map(|(name, value)| (&**name, &**value)).collect();
    let place = names::place(&labels, &SOURCE_LABELS);
    (out.source(place.source), &sample.name, Some(sample.role), place.labels)
}

#[cfg(test)]
mod tests {
    use common::model::MetricName;

    use super::super::text::{Syntax, parse};
    use super::*;
    use crate::record::{TENANT, TelemetryRecord};

    fn scrape(second: u64, text: &str) -> Scrape {
        Scrape { at: Timestamp(second * 1_000_000), samples: parse(text.as_bytes(), Syntax::Text).unwrap() }
    }

    fn lines(before: Option<&Scrape>, after: &Scrape) -> Vec<String> {
        let line = |record: &TelemetryRecord| {
            let pairs = record.metrics.iter().map(MetricName::as_str).zip(&record.values);
            let values: Vec<String> = pairs.map(|(name, value)| format!("{name}={value}")).collect();
            format!("{} {} {}", record.source(), record.at.millis(), values.join(" "))
        };
        records(before, after, TENANT, "rack-1").records.iter().map(line).collect()
    }

    const TYPES: &str = "# TYPE c counter\n# TYPE g gauge\n# TYPE h histogram\n";

    #[test]
    fn totals_are_growth_a_second_and_gauges_are_themselves() {
        let text = |values: &str| format!("{TYPES}{values}");
        let first = scrape(10, &text("c{a=\"1\"} 100\ng 5\nh_count 4\nh_sum 8"));
        let second = scrape(14, &text("c{a=\"1\"} 108\ng 6\nh_count 8\nh_sum 28"));
        assert_eq!(
            lines(None, &first),
            ["rack-1 10000 c.per_s{a=1}=NaN g=5 h.count.per_s=NaN h.mean=NaN h.sum.per_s=NaN"]
        );
        assert_eq!(
            lines(Some(&first), &second),
            ["rack-1 14000 c.per_s{a=1}=2 g=6 h.count.per_s=1 h.mean=5 h.sum.per_s=5"]
        );
        let restarted = lines(Some(&second), &scrape(15, &text("c{a=\"1\"} 3\ng 5\nh_count 0\nh_sum 0")));
        assert_eq!(
            restarted,
            ["rack-1 15000 c.per_s{a=1}=NaN g=5 h.count.per_s=NaN h.mean=NaN h.sum.per_s=NaN"]
        );
        assert!(lines(Some(&second), &second)[0].contains("c.per_s{a=1}=NaN"), "no time has passed");
    }

    #[test]
    fn a_sample_with_a_time_of_its_own_is_told_once() {
        let first = scrape(10, "# TYPE c counter\nc{instance=\"b:1\"} 10 9000\n");
        assert_eq!(lines(None, &first), ["b 9000 c.per_s=NaN"]);
        let again = scrape(20, "# TYPE c counter\nc{instance=\"b:1\"} 10 9000\n");
        assert_eq!(lines(Some(&first), &again), [""; 0]);
        let later = scrape(30, "# TYPE c counter\nc{instance=\"b:1\"} 30 29000\n");
        assert_eq!(lines(Some(&again), &later), ["b 29000 c.per_s=1"]);
    }
}
