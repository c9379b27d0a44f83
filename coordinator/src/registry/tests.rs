//! Two runs of one round each, and what can be asked of their models.

use common::id::{EpochId, RunId};
use common::message::event::reason;
use common::model::{Forecaster, Network};
use common::wire::List;

use super::*;
use crate::round::{Base, Checkpoint, MemberOutcome, MemberRecord, Report, RoundOutcome, RoundRecord};
use crate::store::{About, NewRun};
use crate::view::model::OriginKind;

const CONFIG: &str = include_str!("../../samples/run.toml");

struct Shelf {
    dir: tempfile::TempDir,
    store: Store,
    task: Task,
    /// What both runs began with, what `one` made, what `two` made.
    models: [ModelHash; 3],
}

/// Runs `one` and `two`, from one seed.
fn shelf() -> Shelf {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), crate::store::tests::vault()).unwrap();
    let task = RunConfig::parse(CONFIG).unwrap().task;
    let mut values = task.initial(1).unwrap();
    let mut save = |round, change: f32| {
        values.values_mut()[0] += change;
        let about = About { round: RoundId(round), task: &task };
        store.models().save(&about, &task.schema().unwrap(), values.values()).unwrap()
    };
    let models = [save(0, 0.0), save(1, 0.5), save(1, 0.5)];
    for (byte, name) in [(1, "one"), (2, "two")] {
        run(&store, byte, name, [models[0], models[usize::from(byte)]]);
    }
    Shelf { dir, store, task, models }
}

fn run(store: &Store, byte: u8, name: &str, [first, made]: [ModelHash; 2]) {
    let run = RunId([byte; 16]);
    let (name, created) = (name.try_into().unwrap(), Timestamp(u64::from(byte) * 1_000_000));
    let new = NewRun { run, name, config: CONFIG.into(), rounds: 2, model: first, created, key: None };
    let epochs = store.state().create_run(new).unwrap().epochs;
    let base = Base { epoch: epochs.next, round: RoundId(1) };
    let report = Report { weight: 100, steps: 7, loss: 0.5, delta_norm: 1.5, base, at: created };
    let members = vec![
        MemberRecord { node: NodeId([1; 32]), outcome: MemberOutcome::Reported(report) },
        MemberRecord { node: NodeId([2; 32]), outcome: MemberOutcome::Rejected(reason("value 3 is NaN")) },
    ];
    let record = RoundRecord {
        run,
        round: RoundId(1),
        epoch: epochs.next,
        attempt: 1,
        model: first,
        candidates: 2,
        phases: List::default(),
        closed: created,
        members: members.try_into().unwrap(),
        outcome: RoundOutcome::Committed(Checkpoint::from(made)),
        code: "0.1.0 (abc)".try_into().unwrap(),
    };
    store.state().commit(&record, EpochId(epochs.next.0 + 1)).unwrap();
}

impl Shelf {
    fn ask(&self, order: &ModelOrder) -> Result<ModelAnswer> {
        answer(&self.store, order, |node| format!("web-{}", node.0[0]), Timestamp(9_000_000))
    }

    fn show(&self, wanted: &str) -> Result<ModelView> {
        match self.ask(&ModelOrder::Show { model: Some(wanted.to_owned()) })? {
            ModelAnswer::Shown(view) => Ok(*view),
            other => panic!("{other:?}"),
        }
    }

    fn promote(&self, model: &str, dry_run: bool) -> Result<AliasView> {
        let (model, alias) = (model.to_owned(), "production".to_owned());
        match self.ask(&ModelOrder::Promote { model, alias, dry_run })? {
            ModelAnswer::Turned(view) => Ok(view),
            other => panic!("{other:?}"),
        }
    }

    fn roll_back(&self) -> Result<AliasView> {
        match self.ask(&ModelOrder::RollBack { alias: "production".to_owned(), dry_run: false })? {
            ModelAnswer::Turned(view) => Ok(view),
            other => panic!("{other:?}"),
        }
    }

    fn hash(&self, index: usize) -> String {
        self.models[index].to_string()
    }
}

#[test]
fn a_model_says_which_round_made_it_from_what_with_whom_and_how() {
    let shelf = shelf();
    let view = shelf.show("two").unwrap();
    assert_eq!(view.model, shelf.hash(2));
    let OriginView::Trained(trained) = view.origin else { panic!("{:?}", view.origin) };
    assert_eq!((trained.name.as_str(), trained.round, trained.rounds), ("two", 1, 2));
    let attempt = trained.attempt;
    assert_eq!((attempt.parent, attempt.code.as_str()), (shelf.hash(0), "0.1.0 (abc)"));
    let update = attempt.cohort["web-1"].update.as_ref().unwrap();
    assert_eq!((update.weight, attempt.weight), (100, 100));
    assert_eq!(attempt.cohort["web-2"].reason.as_deref(), Some("rejected: value 3 is NaN"));
    assert_eq!((trained.seed, &trained.strategy["combine"]["kind"]), (1, &"mean".into()));
    assert_eq!(trained.training["batch"], 64);
    let file = view.file.unwrap();
    assert_eq!(file.parameters, shelf.task.schema().unwrap().parameters() as u64);
    assert_eq!((&file.task["kind"], &file.task["past_steps"]), (&"forecaster".into(), &19.into()));
}

#[test]
fn a_model_is_named_by_its_hash_the_start_of_that_or_its_run() {
    let shelf = shelf();
    let whole = shelf.hash(1);
    for wanted in [whole.as_str(), &whole[..8], "one", &RunId([1; 16]).to_string()[..4]] {
        assert_eq!(shelf.show(wanted).unwrap().model, whole, "{wanted}");
    }
    for wanted in [&whole[..7], "three", "production"] {
        let error = shelf.show(wanted).unwrap_err().to_string();
        assert_eq!(error, format!("no model, alias or run `{wanted}`; `coordinator model list` shows them"));
    }
    // Two runs began with it: the newer one is said first, the other too.
    let first = shelf.show(&shelf.hash(0)).unwrap();
    assert!(matches!(first.origin, OriginView::Initial { name, .. } if name == "two"));
    assert_eq!(first.also, [format!("run {} (one) began with it", RunId([1; 16]))]);
    let ModelAnswer::Listed { models } = shelf.ask(&ModelOrder::List).unwrap() else { panic!() };
    let trained: Vec<String> = models
        .into_iter()
        .filter(|model| model.origin == OriginKind::Trained)
        .map(|model| model.model)
        .collect();
    assert_eq!(trained, shelf.models[1..].iter().map(ToString::to_string).collect::<Vec<_>>());
}

#[test]
fn an_alias_is_promoted_and_rolled_back_and_names_a_model_everywhere() {
    let shelf = shelf();
    let error = shelf.roll_back().unwrap_err().to_string();
    assert!(error.starts_with("nothing was promoted to `production`"), "{error}");
    let tried = shelf.promote("one", true).unwrap();
    assert_eq!((tried.before, tried.dry_run), (None, true));
    assert!(shelf.show("production").is_err());
    assert_eq!(shelf.promote("one", false).unwrap().before, None);
    assert_eq!(shelf.promote("one", false).unwrap().before, Some(shelf.hash(1)), "it names that already");
    let error = shelf.roll_back().unwrap_err().to_string();
    assert!(error.starts_with("`production` named no model before this one"), "{error}");
    assert_eq!(shelf.promote("two", false).unwrap().before, Some(shelf.hash(1)));
    let view = shelf.show("production").unwrap();
    assert_eq!((&view.model, view.aliases["production"]), (&shelf.hash(2), 9000));
    let back = shelf.roll_back().unwrap();
    assert_eq!((back.model, back.before), (shelf.hash(1), Some(shelf.hash(2))));
    assert_eq!(shelf.show("production").unwrap().model, shelf.hash(1));
}

#[test]
fn a_model_that_is_missing_or_damaged_is_not_promoted() {
    let shelf = shelf();
    shelf.promote("one", false).unwrap();
    shelf.promote("two", false).unwrap();
    let path = shelf.store.models().path(shelf.models[1]);
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    for error in [shelf.promote("one", false).unwrap_err(), shelf.roll_back().unwrap_err()] {
        assert!(error.to_string().contains("is damaged"), "{error}");
    }
    std::fs::remove_file(&path).unwrap();
    assert!(shelf.roll_back().unwrap_err().to_string().contains("is missing"));
    assert_eq!(shelf.show("production").unwrap().model, shelf.hash(2));
    let view = shelf.show("one").unwrap();
    assert!(view.file.is_none() && view.problem.unwrap().contains("is missing"));
}

#[test]
fn an_imported_model_is_known_and_one_that_was_known_keeps_its_origin() {
    let shelf = shelf();
    let about = About { round: RoundId(7), task: &shelf.task };
    let schema = shelf.task.schema().unwrap();
    let values = vec![0.25; schema.parameters()];
    let import = |model: ModelHash| {
        let order = ModelOrder::Import { model: model.to_string(), round: 7, file: "from-afar".to_owned() };
        shelf.ask(&order)
    };
    let hash = crate::store::models::hash(&about, &schema, &values);
    assert!(import(hash).unwrap_err().to_string().contains("is missing"));
    assert_eq!(shelf.store.models().save(&about, &schema, &values).unwrap(), hash);
    assert_eq!(import(hash).unwrap(), ModelAnswer::Imported { known: false });
    assert_eq!(import(hash).unwrap(), ModelAnswer::Imported { known: true });
    assert_eq!(import(shelf.models[1]).unwrap(), ModelAnswer::Imported { known: true });
    let view = shelf.show(&hash.to_string()[..8]).unwrap();
    let origin = OriginView::Imported { name: "from-afar".to_owned(), round: 7, at_ms: 9000 };
    assert_eq!(view.origin, origin);
    assert_eq!(shelf.promote(&hash.to_string(), false).unwrap().before, None);
    assert!(matches!(shelf.show("one").unwrap().origin, OriginView::Trained(_)));
    drop(shelf.dir);
}

#[test]
fn a_run_begins_with_a_model_of_its_task_only() {
    let shelf = shelf();
    let first = |named: &str, task: &Task| first_of(&shelf.store, named, task, &task.schema().unwrap());
    let First::Stored(hash, values) = first("one", &shelf.task).unwrap() else { panic!("it is stored so") };
    assert_eq!((hash, values.len()), (shelf.models[1], shelf.task.schema().unwrap().parameters()));
    let Task::Forecaster(mut other) = shelf.task.clone() else { panic!() };
    // An evaluation begins with nothing known; training goes on with the parameters of one.
    let evaluation = Task::Evaluation(other.clone());
    let First::Parameters(begun) = first("one", &evaluation).unwrap() else { panic!("it is longer") };
    assert_eq!(begun[..values.len()], values);
    assert!(begun.len() > values.len() && begun[values.len()..].iter().all(|value| value.to_bits() == 0));
    let schema = evaluation.schema().unwrap();
    let known = [&values[..], &vec![0.5; begun.len() - values.len()]].concat();
    let about = About { round: RoundId(6), task: &evaluation };
    let model = shelf.store.models().save(&about, &schema, &known).unwrap();
    let entry = Imported { at: Timestamp::from_millis(1), round: RoundId(6), file: known::file_name("x") };
    import(&shelf.store, model, &entry).unwrap();
    let named = model.to_string();
    assert_eq!(first(&named, &evaluation).unwrap(), First::Parameters(begun));
    assert_eq!(first(&named, &shelf.task).unwrap(), First::Parameters(values));
    let view = shelf.show(&named).unwrap();
    let evaluated = view.file.unwrap().evaluated.unwrap();
    assert_eq!((evaluated.metrics.len(), evaluated.scores.len()), (other.metrics.len(), 5));
    let mut metrics = other.metrics.into_vec();
    metrics.swap(0, 1);
    other.metrics = metrics.try_into().unwrap();
    let refused =
        |task: Task| first_of(&shelf.store, "one", &task, &task.schema().unwrap()).unwrap_err().to_string();
    let error = refused(Task::Forecaster(other));
    assert!(error.contains("which is for another task: its metrics: [\"cpu_percent\", "), "{error}");
    assert!(error.contains("; the run's: [\"memory_percent\", "), "{error}");
    assert!(refused(Task::Flat { parameters: 3 }).ends_with("it is a forecaster, the run's is flat"));
    let Task::Forecaster(forecaster) = shelf.task.clone() else { panic!() };
    let error = refused(Task::Forecaster(Forecaster { network: Network::Lstm, ..forecaster }));
    assert!(error.contains("its network: Perceptron; the run's: Lstm"), "{error}");
}

#[test]
fn the_task_in_a_file_is_the_task_of_its_model_whatever_the_network() {
    let shelf = shelf();
    let Task::Forecaster(forecaster) = shelf.task else { panic!() };
    for network in [Network::Perceptron, Network::Lstm, Network::Convolution, Network::Autoencoder] {
        let task = Task::Forecaster(Forecaster { network, ..forecaster.clone() });
        let initial = task.initial(7).unwrap();
        let about = About { round: RoundId(0), task: &task };
        let model = shelf.store.models().save(&about, initial.schema(), initial.values()).unwrap();
        assert_eq!(task_of(&shelf.store.models().describe(model).unwrap().task).unwrap(), task);
    }
}
