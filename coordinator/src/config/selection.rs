//! What the command line says, in the text of a run's configuration: what is stored says all that was asked for.

use common::model::EVALUATION_ROUNDS;
use toml::{Table, Value};

use super::ConfigError;

/// The text of a configuration whose runs select nodes by these labels too.
///
/// # Errors
///
/// [`ConfigError`] when the text is not TOML, or has no place for labels.
pub fn selecting(text: String, labels: &[(String, String)]) -> Result<String, ConfigError> {
    if labels.is_empty() {
        return Ok(text);
    }
    let missing = |key, problem: &str| ConfigError::Value { key, problem: problem.to_owned() };
    let mut table = read(&text)?;
    let cohort = table.get_mut("cohort").and_then(Value::as_table_mut);
    let cohort = cohort.ok_or_else(|| missing("cohort", "is missing"))?;
    let select = cohort.entry("select").or_insert_with(|| Table::new().into());
    let select = select.as_table_mut().ok_or_else(|| missing("cohort.select", "is not a table of labels"))?;
    select.extend(labels.iter().map(|(name, value)| (name.clone(), value.as_str().into())));
    write(&table)
}

/// The text of a configuration whose run begins with this model.
///
/// # Errors
///
/// [`ConfigError`] when the text is not TOML.
pub fn beginning(text: String, from: Option<&str>) -> Result<String, ConfigError> {
    let Some(from) = from else { return Ok(text) };
    let mut table = read(&text)?;
    table.insert("from".to_owned(), from.into());
    write(&table)
}

/// The text of a configuration that evaluates a model, of one that trained such models.
///
/// # Errors
///
/// [`ConfigError`] when the text is not TOML, or trains none that is evaluated.
pub fn evaluating(text: String, model: Option<&str>) -> Result<String, ConfigError> {
    let Some(model) = model else { return Ok(text) };
    let mut table = read(&text)?;
    table.insert("from".to_owned(), model.into());
    table.insert("rounds".to_owned(), i64::from(EVALUATION_ROUNDS).into());
    // How updates were combined that trained is not how statistics are.
    table.remove("strategy");
    let cohort = table.get_mut("cohort").and_then(Value::as_table_mut);
    cohort.map(|cohort| cohort.remove("staleness_max"));
    let kind = table.get_mut("task").and_then(Value::as_table_mut).and_then(|task| task.get_mut("kind"));
    match kind {
        Some(kind) if kind.as_str() == Some("forecaster") => *kind = "evaluation".into(),
        _ => {
            let problem = "is not \"forecaster\": nothing else is evaluated".to_owned();
            return Err(ConfigError::Value { key: "task.kind", problem });
        }
    }
    write(&table)
}

fn read(text: &str) -> Result<Table, ConfigError> {
    text.parse().map_err(|error: toml::de::Error| ConfigError::Parse(error.to_string()))
}

fn write(table: &Table) -> Result<String, ConfigError> {
    toml::to_string(table).map_err(|error| ConfigError::Parse(error.to_string()))
}

/// Whether two configurations say the same; comments and order aside.
pub fn says_the_same(one: &str, other: &str) -> bool {
    one == other
        || matches!((one.parse::<Table>(), other.parse::<Table>()), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunConfig;

    #[test]
    fn the_model_of_the_command_line_is_the_one_of_the_configuration() {
        let sample = include_str!("../../samples/run.toml").to_owned();
        let from = |text: String| RunConfig::parse(&text).unwrap().from;
        assert_eq!(from(beginning(sample.clone(), None).unwrap()), None);
        let with = beginning(sample, Some("production")).unwrap();
        assert_eq!(from(with.clone()).as_deref(), Some("production"));
        assert_eq!(from(beginning(with, Some("canary")).unwrap()).as_deref(), Some("canary"));
    }

    #[test]
    fn a_configuration_that_trained_a_model_evaluates_it() {
        let sample = include_str!("../../samples/run.toml").to_owned();
        assert_eq!(evaluating(sample.clone(), None).unwrap(), sample);
        let robust = sample
            .replace("[task]", "[strategy]\nserver = { kind = \"sgd\", learning_rate = 0.5 }\n\n[task]")
            .replace("staleness_max = 0", "staleness_max = 3");
        let config = RunConfig::parse(&evaluating(robust, Some("first-run")).unwrap()).unwrap();
        let trained = RunConfig::parse(&sample).unwrap();
        assert_eq!((config.from.as_deref(), config.rounds), (Some("first-run"), EVALUATION_ROUNDS));
        assert_eq!(config.task.forecaster(), trained.task.forecaster());
        assert_ne!(config.task, trained.task);
        let (before, _) = sample.split_once("[task]").unwrap();
        let flat = format!("{before}[task]\nkind = \"flat\"\nparameters = 3");
        let error = evaluating(flat, Some("m")).unwrap_err().to_string();
        assert_eq!(error, "`task.kind` is not \"forecaster\": nothing else is evaluated");
    }

    #[test]
    fn an_evaluation_is_of_a_model_has_its_rounds_and_averages() {
        let sample = include_str!("../../samples/run.toml").to_owned();
        let text = evaluating(sample, Some("m")).unwrap();
        for (before, after, expected) in [
            ("from = \"m\"\n", "", "`from` is missing: an evaluation is of a model"),
            ("rounds = 6", "rounds = 5", "`rounds` is 5: an evaluation has 6"),
            (
                "[task]",
                "[strategy]\nclip_norm = 1.0\n[task]",
                "`task.kind` evaluation needs a server of kind sgd",
            ),
        ] {
            assert!(text.contains(before), "{before}: {text}");
            let error = RunConfig::parse(&text.replacen(before, after, 1)).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn configurations_are_the_same_whatever_their_comments_say() {
        assert!(says_the_same("a = 1\nb = 2", "# first\nb = 2\na=1\n"));
        assert!(!says_the_same("a = 1", "a = 2") && !says_the_same("a = 1", "a = "));
    }

    #[test]
    fn a_label_of_the_command_line_is_one_of_the_configuration() {
        let sample = include_str!("../../samples/run.toml").to_owned();
        let selected = |text: &str| RunConfig::parse(text).unwrap().cohort.select;
        assert!(selected(&selecting(sample.clone(), &[]).unwrap()).is_empty());
        let with = sample.replace("select = {}", "select = { zone = \"eu\" }");
        let select = selected(&selecting(with, &[("rack".into(), "A".into())]).unwrap());
        let labels: Vec<String> = select.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(labels, ["rack=A", "zone=eu"]);
        let error = selecting(String::new(), &[("rack".into(), "A".into())]).unwrap_err().to_string();
        assert_eq!(error, "`cohort` is missing");
    }
}
