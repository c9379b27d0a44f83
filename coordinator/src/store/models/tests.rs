use ::safetensors::Dtype;
use common::id::RoundId;
use common::model::{Forecaster, Foresees, Network, Task};
use proptest::prelude::*;

use super::*;

fn task() -> Task {
    Task::Forecaster(Forecaster {
        metrics: vec!["cpu \"%\"".try_into().unwrap(), "memory".try_into().unwrap()].try_into().unwrap(),
        past_steps: 3,
        network: Network::default(),
        hidden: vec![5].try_into().unwrap(),
        foresees: Foresees::default(),
    })
}

struct Folder {
    dir: tempfile::TempDir,
    models: Models,
    schema: Schema,
    values: Vec<f32>,
}

fn open(dir: &tempfile::TempDir) -> Models {
    Models::open_on(Arc::new(OsDisk), dir.path(), crate::store::tests::vault()).unwrap()
}

fn folder() -> Folder {
    let dir = tempfile::tempdir().unwrap();
    let models = open(&dir);
    let initial = task().initial(7).unwrap();
    Folder { dir, models, schema: task().schema().unwrap(), values: initial.into_values() }
}

impl Folder {
    fn save(&self, round: u32) -> ModelHash {
        let about = About { round: RoundId(round), task: &task() };
        self.models.save(&about, &self.schema, &self.values).unwrap()
    }

    /// What is exported of a model: as it was before it was sealed.
    fn exported(&self, model: ModelHash) -> Vec<u8> {
        let output = self.dir.path().join("exported");
        self.models.export(model, &output).unwrap();
        let bytes = fs::read(&output).unwrap();
        fs::remove_file(output).unwrap();
        bytes
    }

    fn load(&self, model: ModelHash) -> Result<Vec<f32>, StoreError> {
        self.models.load(model, &self.schema)
    }

    fn files(&self) -> Vec<String> {
        let files = fs::read_dir(self.dir.path().join("models")).unwrap();
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
    }
}

#[test]
fn a_saved_model_is_read_back_bit_for_bit() {
    let folder = folder();
    let model = folder.save(3);
    assert_eq!(folder.load(model).unwrap(), folder.values);
    assert_eq!(folder.files(), [format!("{model}.sealed")]);
}

#[test]
fn the_name_of_a_model_is_the_hash_of_its_file_and_the_same_everywhere() {
    let (first, second) = (folder(), folder());
    let model = first.save(3);
    assert_eq!(model, second.save(3));
    let about = About { round: RoundId(3), task: &task() };
    assert_eq!(model, hash(&about, &first.schema, &first.values));
    let bytes = first.exported(model);
    assert_eq!(model.0, *blake3::hash(&bytes).as_bytes());
    assert_ne!(model, first.save(4));
}

#[test]
fn other_software_reads_the_file_as_safetensors() {
    let folder = folder();
    let bytes = folder.exported(folder.save(3));
    let (length, metadata) = ::safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(length % 8, 0);
    let about = metadata.metadata().as_ref().unwrap();
    assert_eq!(about["round"], "3");
    let task: serde_json::Value = serde_json::from_str(&about["task"]).unwrap();
    let expected = serde_json::json!({
        "kind": "forecaster", "metrics": ["cpu \"%\"", "memory"], "past_steps": 3, "hidden": [5],
    });
    assert_eq!(task, expected);

    let file = ::safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.tensor("layer0.weight").unwrap().shape(), [6, 5]);
    let bias: Vec<u8> = folder.values[30..35].iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(file.tensor("layer0.bias").unwrap().data(), bias);
}

#[test]
fn a_missing_or_damaged_model_is_named_and_never_used() {
    let folder = folder();
    let model = folder.save(1);
    let path = folder.models.path(model);
    let whole = fs::read(&path).unwrap();
    for index in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[index] ^= 0x10;
        fs::write(&path, &bytes).unwrap();
        let error = folder.load(model).unwrap_err();
        assert!(matches!(error, StoreError::ModelDamaged { .. }), "byte {index}: {error}");
    }
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(matches!(folder.load(model).unwrap_err(), StoreError::ModelDamaged { .. }), "{length} bytes");
    }
    fs::remove_file(&path).unwrap();
    let error = folder.load(model).unwrap_err().to_string();
    assert!(error.contains(&model.to_string()) && error.contains("is missing"), "{error}");
}

#[test]
fn nothing_of_a_model_is_on_the_disk_in_the_clear_and_its_file_opens_in_its_own_place_only() {
    let folder = folder();
    let (model, other) = (folder.save(1), folder.save(2));
    let (bytes, plain) = (fs::read(folder.models.path(model)).unwrap(), folder.exported(model));
    for piece in plain.chunks_exact(16) {
        assert!(!bytes.windows(16).any(|window| window == piece));
    }
    fs::copy(folder.models.path(other), folder.models.path(model)).unwrap();
    let error = folder.load(model).unwrap_err().to_string();
    assert!(error.contains(&format!("its hash is {other}")), "{error}");
    let vault = Arc::clone(&folder.models.vault);
    let moments = Models::at(Arc::new(OsDisk), vault, folder.dir.path(), "moments".to_owned());
    moments.make().unwrap();
    fs::copy(folder.models.path(other), moments.path(other)).unwrap();
    let error = moments.load(other, &folder.schema).unwrap_err().to_string();
    assert!(error.contains("it is the file of `models`, put in another's place"), "{error}");
}

#[test]
fn a_model_of_another_task_is_not_called_damaged() {
    let folder = folder();
    let model = folder.save(1);
    for other in [Task::Flat { parameters: 47 }, Task::Flat { parameters: 48 }] {
        let error = folder.models.load(model, &other.schema().unwrap()).unwrap_err();
        assert!(matches!(error, StoreError::ModelMisfit { .. }), "{error}");
    }
}

#[test]
fn what_a_killed_process_left_unfinished_is_gone_after_the_next_start() {
    let folder = folder();
    let model = folder.save(1);
    fs::write(folder.dir.path().join("models/.unfinished-0"), "half").unwrap();
    open(&folder.dir);
    assert_eq!(folder.files(), [format!("{model}.sealed")]);
}

#[test]
fn what_is_not_kept_is_removed() {
    let folder = folder();
    let (first, second) = (folder.save(1), folder.save(2));
    folder.models.retain(&[second]).unwrap();
    assert_eq!(folder.files(), [format!("{second}.sealed")]);
    assert!(matches!(folder.load(first), Err(StoreError::ModelMissing(_))));
    assert_eq!(folder.load(second).unwrap(), folder.values);
}

#[test]
fn a_model_that_cannot_be_written_leaves_nothing_and_names_the_file() {
    let folder = folder();
    fs::remove_dir(folder.dir.path().join("models")).unwrap();
    let about = About { round: RoundId(1), task: &task() };
    let error = folder.models.save(&about, &folder.schema, &folder.values).unwrap_err().to_string();
    assert!(error.starts_with("cannot make ") && error.contains("models/.unfinished-"), "{error}");
}

#[test]
fn a_full_disk_is_reported_with_what_to_do() {
    let full = File::options().write(true).open("/dev/full");
    let Ok(mut full) = full else {
        println!("skipped: this system has no /dev/full");
        return;
    };
    let source = write_values(&mut full, b"header", &[0.0; 9]).unwrap_err();
    let error = io_error("write", Path::new("models/x"))(source).to_string();
    assert!(
        error.starts_with("cannot write models/x")
            && error.ends_with("make room on that disk, then start again")
    );
}

#[test]
fn an_exported_model_is_a_checked_copy() {
    let folder = folder();
    let model = folder.save(1);
    let output = folder.dir.path().join("out.safetensors");
    folder.models.export(model, &output).unwrap();
    assert_eq!(blake3::hash(&fs::read(&output).unwrap()), model.0);

    fs::remove_file(&output).unwrap();
    fs::write(folder.models.path(model), "not a model").unwrap();
    assert!(matches!(folder.models.export(model, &output), Err(StoreError::ModelDamaged { .. })));
    assert!(!output.exists() && fs::read_dir(folder.dir.path()).unwrap().count() == 1);
}

proptest! {
    #[test]
    fn no_bytes_make_an_import_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(foreign(&bytes).is_err());
    }

    #[test]
    fn no_bytes_in_place_of_a_model_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let folder = folder();
        let model = ModelHash(*blake3::hash(&bytes).as_bytes());
        fs::write(folder.models.path(model), &bytes).unwrap();
        prop_assert!(folder.load(model).is_err());
    }
}

fn foreign(bytes: &[u8]) -> Result<(Described, Vec<f32>), StoreError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    let foreign = Foreign::read(file.path())?;
    Ok((foreign.described()?, foreign.values(&task().schema().unwrap())?))
}

#[test]
fn a_model_of_another_coordinator_is_read_and_has_the_same_hash() {
    let folder = folder();
    let model = folder.save(3);
    let (described, values) = foreign(&folder.exported(model)).unwrap();
    assert_eq!(described, folder.models.describe(model).unwrap());
    assert_eq!((described.round, &values), (RoundId(3), &folder.values));
    assert_eq!(hash(&About { round: RoundId(3), task: &task() }, &folder.schema, &values), model);
    assert_eq!(folder.models.check(model).unwrap(), described.bytes);
}

/// As other software writes it: tensors in the order of their names.
fn sorted(values: &[f32], skip: &str) -> Vec<u8> {
    use ::safetensors::tensor::TensorView;
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let schema = task().schema().unwrap();
    let views: Vec<(String, TensorView<'_>)> = schema
        .ranges()
        .filter(|(tensor, _)| tensor.name.as_str() != skip)
        .map(|(tensor, range)| {
            let shape = tensor.shape.iter().map(|&side| side as usize).collect();
            let view = TensorView::new(Dtype::F32, shape, &bytes[range.start * 4..range.end * 4]).unwrap();
            (tensor.name.to_string(), view)
        })
        .collect();
    let header = safetensors::header(&About { round: RoundId(3), task: &task() }, &schema);
    let metadata: serde_json::Value = serde_json::from_slice(&header[8..]).unwrap();
    let said = |key: &str| (key.to_owned(), metadata["__metadata__"][key].as_str().unwrap().to_owned());
    ::safetensors::serialize(views, Some([said("round"), said("task")].into())).unwrap()
}

#[test]
fn a_model_in_another_order_is_imported_and_a_wrong_one_is_refused_by_tensor() {
    let folder = folder();
    let (described, values) = foreign(&sorted(&folder.values, "")).unwrap();
    assert_eq!((described.round, &values), (RoundId(3), &folder.values));
    let refused = |bytes: &[u8]| foreign(bytes).unwrap_err().to_string();
    let task = described.task;
    let mut infinite = folder.values.clone();
    infinite[31] = f32::INFINITY;
    assert!(refused(&sorted(&infinite, "")).ends_with("value 1 of its tensor `layer0.bias` is inf"));
    assert!(refused(&sorted(&folder.values, "layer1.bias")).ends_with("it has no tensor `layer1.bias`"));
    let whole = folder.exported(folder.save(3));
    for length in 0..whole.len() {
        assert!(refused(&whole[..length]).contains("cannot be imported: "), "{length} bytes");
        let mut bytes = whole.clone();
        bytes[length] ^= 0x10;
        // What is changed may still be a model, but another one.
        if let Ok((described, values)) = foreign(&bytes) {
            let found = (described.round.0, described.task.as_str(), &values);
            let other = found != (3, task.as_str(), &folder.values);
            assert!(other, "byte {length}");
        }
    }
    let bare = ::safetensors::serialize(Vec::<(String, ::safetensors::tensor::TensorView<'_>)>::new(), None);
    assert!(refused(&bare.unwrap()).contains("its metadata has no `round`; "));
}

#[test]
fn a_step_is_measured_between_two_files_and_a_missing_one_is_named() {
    let mut folder = folder();
    let before = folder.save(1);
    let norm = folder.values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    folder.values[0] += 3.0;
    folder.values[1] -= 4.0;
    let after = folder.save(2);
    let step = Step::between(&folder.models, before, after).unwrap();
    assert!((step.norm - 5.0).abs() < 1e-6 && (step.model_norm - norm).abs() < 1e-9, "{step:?}");
    fs::remove_file(folder.models.path(before)).unwrap();
    let error = Step::between(&folder.models, before, after).unwrap_err().to_string();
    assert!(error.contains(&before.to_string()) && error.contains("is missing"), "{error}");
}
