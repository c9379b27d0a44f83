//! `[task]` of a run's configuration.

use common::model::Task;

use super::{ConfigError, require};

/// Checks a task, as it was written.
///
/// # Errors
///
/// [`ConfigError`] names the key.
pub fn check_task(task: &Task) -> Result<(), ConfigError> {
    let hidden = match task {
        Task::Forecaster(forecaster) | Task::Evaluation(forecaster) => {
            require(!forecaster.metrics.is_empty(), "task.metrics", "is empty")?;
            let sees = forecaster.past_steps >= 1 || forecaster.sees_record();
            require(sees, "task.past_steps", "is 0")?;
            &*forecaster.hidden
        }
        Task::Classifier(classifier) => {
            require(classifier.inputs >= 1, "task.inputs", "is 0")?;
            require(classifier.classes >= 2, "task.classes", "must be 2 or more")?;
            &*classifier.hidden
        }
        Task::Flat { .. } => &[],
    };
    require(hidden.iter().all(|width| *width >= 1), "task.hidden", "has a layer without a unit")?;
    let schema = task.schema();
    let schema = schema
        .map_err(|error| ConfigError::Value { key: "task", problem: format!("has no model: {error}") })?;
    require(schema.parameters() >= 1, "task", "has no parameters")
}

#[cfg(test)]
mod tests {
    use common::model::{Forecaster, Network};

    use super::super::RunConfig;
    use super::*;

    const RUN: &str = include_str!("../../samples/run.toml");

    #[test]
    fn a_closed_form_goes_with_strategies_that_arrive_where_the_nodes_are() {
        let ridge = RUN.replace("hidden = [64, 16, 64]", "network = \"ridge\"");
        assert!(RunConfig::parse(&ridge).is_ok());
        let median = ridge.replace("[task]", "[strategy]\ncombine = { kind = \"median\" }\n[task]");
        assert!(RunConfig::parse(&median).is_ok());
        for (before, after) in [
            ("[task]", "[strategy]\nclip_norm = 1.0\n[task]"),
            ("[task]", "[strategy]\nserver = { kind = \"sgd\", learning_rate = 0.5 }\n[task]"),
            (
                "[task]",
                "[strategy]\nserver = { kind = \"momentum\", learning_rate = 1.0, momentum = 0.9 }\n[task]",
            ),
            ("staleness_max = 0", "staleness_max = 2"),
        ] {
            let error = RunConfig::parse(&ridge.replace(before, after)).unwrap_err().to_string();
            assert!(error.starts_with("`task.network` in closed form needs"), "{after}: {error}");
        }
        let layers = RUN.replace("hidden = [64, 16, 64]", "network = \"pca\"\nhidden = [4, 4]");
        let error = RunConfig::parse(&layers).unwrap_err().to_string();
        assert!(error.starts_with("`task` has no model: a ridge regression has no hidden layers"), "{error}");
    }

    #[test]
    fn a_run_may_foresee_load_or_failures() {
        let of = |foresees: &str| {
            RunConfig::parse(
                &RUN.replace("past_steps = 19", &format!("past_steps = 19\nforesees = {foresees}")),
            )
        };
        let outputs = |foresees: &str| {
            let schema = of(foresees).unwrap().task.schema().unwrap();
            schema.tensors().last().unwrap().shape[0]
        };
        let load = "{ kind = \"load\", metric = \"cpu_percent\", steps = 6, quantiles = [0.1, 0.5, 0.9] }";
        assert_eq!(
            (outputs(load), outputs("{ kind = \"failure\", metric = \"down\", steps = 12 }")),
            (18, 1)
        );
        for (foresees, message) in [
            (
                load.replace("cpu_percent", "disk"),
                "`task` has no model: what it foresees is of metric `disk`",
            ),
            (load.replace("0.9", "1.0"), "1 is not from 0.001 to 0.999"),
            (load.replace("steps", "stops"), "stops"),
        ] {
            let error = of(&foresees).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn a_run_can_train_a_classifier() {
        let (before, _) = RUN.split_once("[task]").unwrap();
        let parse = |task: &str| RunConfig::parse(&format!("{before}[task]\nkind = \"classifier\"\n{task}"));
        let config = parse("inputs = 784\nhidden = [200, 200]\nclasses = 10").unwrap();
        assert_eq!(config.task.schema().unwrap().parameters(), 199_210);
        let cases = [
            ("inputs = 0\nhidden = [2]\nclasses = 10", "`task.inputs` is 0"),
            ("inputs = 3\nhidden = [0]\nclasses = 10", "`task.hidden` has a layer without a unit"),
            ("inputs = 3\nhidden = []\nclasses = 1", "`task.classes` must be 2 or more"),
            (
                "inputs = 300_000_000\nhidden = []\nclasses = 2",
                "`task` has no model: more than 200000000 parameters",
            ),
        ];
        for (task, message) in cases {
            assert_eq!(parse(task).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn a_forecaster_is_of_a_network_and_a_perceptron_unless_it_says_so() {
        let usual = RunConfig::parse(RUN).unwrap().plan().task;
        let Task::Forecaster(usual) = usual else { panic!("the sample has a forecaster") };
        assert_eq!(usual.network, Network::Perceptron);
        let named = [
            ("lstm", Network::Lstm),
            ("autoencoder", Network::Autoencoder),
            ("convolution", Network::Convolution),
        ];
        for (name, network) in named {
            let text = RUN.replace("past_steps = 19", &format!("past_steps = 19\nnetwork = \"{name}\""));
            let expected = Forecaster { network, ..usual.clone() };
            assert_eq!(RunConfig::parse(&text).unwrap().task, Task::Forecaster(expected));
        }
        let many = RUN.replace("past_steps = 19", "past_steps = 5000");
        let error = RunConfig::parse(&many).unwrap_err().to_string();
        assert_eq!(error, "`task` has no model: more than 2048 past steps");
    }
}
