//! Principal components of a machine's own history: a model in closed form that sees nothing but the record.

use anyhow::{Context, Result};
use common::model::{Forecaster, Network, ParameterVector, Task};
use node::detect::{History, Preparation};
use node::learn::{Training, mean_loss, train};

use super::dataset::Machine;
use super::methods::{go_on, prepare};

/// Share of the variance that is kept.
const KEPT: f64 = 0.9;

/// The task with the fewest components that keep 90 % of the variance of the scaled history, its model, and the history.
///
/// # Errors
///
/// Names the machine whose telemetry cannot be used.
pub(crate) fn fit(
    like: &Forecaster,
    machine: &Machine,
    preparation: &Preparation,
) -> Result<(Forecaster, ParameterVector, History)> {
    let of = |components: usize| -> Result<Forecaster> {
        let hidden = vec![components as u32].try_into()?;
        Ok(Forecaster { past_steps: 0, network: Network::Pca, hidden, ..like.clone() })
    };
    let metrics = like.metrics.len();
    let every = Preparation { stride: 1, ..*preparation };
    let history = prepare(&of(metrics)?, machine, &every)?;
    // Whatever the number of components, the parameters are the same moments.
    let start = Task::Forecaster(of(metrics)?).initial(0)?;
    let settings = Training::default();
    let trained = train(&of(metrics)?, &start, &history.training, &settings, &mut go_on);
    let moments = trained.with_context(|| machine.name.clone())?.parameters;
    let all = variance(&moments, metrics);
    for components in 1..metrics {
        let task = of(components)?;
        if mean_loss(&task, &moments, &history.training)? * metrics as f64 <= (1.0 - KEPT) * all {
            return Ok((task, moments, history));
        }
    }
    Ok((of(metrics)?, moments, history))
}

/// That of all values of a record together, out of the means of the products of these and a 1.
fn variance(moments: &ParameterVector, metrics: usize) -> f64 {
    let of = |row: usize, column: usize| f64::from(moments.values()[row * (metrics + 1) + column]);
    (0..metrics).map(|metric| of(metric, metric) - of(metric, metrics).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use common::id::TenantId;
    use common::model::MetricName;
    use common::units::Timestamp;
    use examples::forecaster;
    use ingest::record::{Origin, TelemetryRecord};

    use super::*;

    /// A machine of which so many metrics are one, and one more is another.
    fn machine(same: usize) -> (Forecaster, Machine) {
        let task = forecaster(same + 1, 19, Network::default(), &[4]).unwrap();
        let metrics: Arc<[MetricName]> = task.metrics.to_vec().into();
        let origin = Origin::new(TenantId::default(), "host");
        let record = |row: usize| {
            let mut values = vec![(row as f32 * 0.7).sin(); same];
            values.push((row as f32 * 0.3).cos());
            let at = Timestamp::from_millis(row as u64 * 1000);
            TelemetryRecord { origin: origin.clone(), at, metrics: Arc::clone(&metrics), values }
        };
        let training = (0..600).map(record).collect();
        let (test, labels, faults) = (Vec::new(), Vec::new(), Vec::new());
        let machine = Machine { name: "host".to_owned(), training, test, labels, faults };
        (task, machine)
    }

    #[test]
    fn as_few_components_are_kept_as_have_nine_tenths_of_the_variance() {
        // Each metric has a variance of 1: that of those that are one is 10 of 11, or 8 of 9.
        for (same, components) in [(10, 1), (8, 2)] {
            let (like, machine) = machine(same);
            let (task, moments, history) = fit(&like, &machine, &Preparation::default()).unwrap();
            assert_eq!((task.past_steps, &task.hidden[..]), (0, &[components][..]));
            let left = mean_loss(&task, &moments, &history.training).unwrap() * (same + 1) as f64;
            let expected = f64::from(2 - components);
            assert!((left - expected).abs() < 0.1, "{same}: {left} of a variance of {}", same + 1);
        }
    }
}
