//! The parts that this program plays on other hosts, started by its own tests: there it is a process like any other.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use node::drift::Drifted;
use node::folder::Folder;
use node::participant::{Assignment, Trained};
use node::trainer::Trainer;

use crate::intruder;

/// What the process is to play, and in which folder.
const PART: &str = "STARLING_TEST_PART";
const PLACE: &str = "STARLING_TEST_PLACE";

/// How long training takes while a fleet is slow: long enough for something to happen in a round.
const SLOW: Duration = Duration::from_millis(150);

/// In the fleet's folder, while rounds shall take their time.
pub(crate) const SLOW_FILE: &str = "slow";

/// In a node's folder: the values of the model that it was told to keep.
pub(crate) const KEPT_FILE: &str = "kept";

/// What a process of this program may play.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    /// A node whose training is an addition.
    Node,
    /// Somebody in the network who is nobody's friend.
    Intruder,
}

/// Makes a command play a part. It already says where this program runs.
pub(crate) fn play(command: &mut Command, part: Part, place: &Path) {
    let name = match part {
        Part::Node => "node",
        Part::Intruder => "intruder",
    };
    command.args(["--exact", "parts::a_process_that_a_test_starts_plays_its_part", "--nocapture"]);
    command.env(PART, name).env(PLACE, place);
}

#[test]
fn a_process_that_a_test_starts_plays_its_part() {
    let Ok(part) = std::env::var(PART) else { return };
    let place = PathBuf::from(std::env::var_os(PLACE).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    match part.as_str() {
        "node" => {
            edge::log_to_stderr();
            let folder = Folder::open(&place).unwrap();
            let (trainer, drifted) = (Addition { place }, Drifted::default());
            let part = async {
                Box::pin(node::driver::run(folder, trainer, drifted, &mut edge::Stop::listen()?)).await
            };
            runtime.block_on(part).unwrap();
        }
        "intruder" => runtime.block_on(intruder::intrude(&place)),
        other => panic!("there is no part {other}"),
    }
}

/// What a value becomes in one round. Sums of these are exact, and values that change places are noticed.
pub(crate) fn added(index: usize) -> f32 {
    (1 + index % 7) as f32 / 1024.0
}

/// Training that only adds.
struct Addition {
    place: PathBuf,
}

impl Trainer for Addition {
    fn train(
        &mut self,
        assignment: &Assignment,
        _progress: &mut dyn FnMut(u8) -> ControlFlow<()>,
    ) -> Result<Trained, String> {
        if self.place.with_file_name(SLOW_FILE).exists() {
            thread::park_timeout(SLOW);
        }
        let mut parameters = (*assignment.model).clone();
        parameters.values_mut().iter_mut().enumerate().for_each(|(index, value)| *value += added(index));
        let Assignment { run, epoch, .. } = *assignment;
        Ok(Trained { run, epoch, parameters, samples: 1, steps: 1, loss: 0.0, control: None })
    }

    fn keep(&mut self, assignment: &Assignment) -> Result<String, String> {
        let bytes: Vec<u8> = assignment.model.values().iter().flat_map(|value| value.to_le_bytes()).collect();
        let (file, new) = (self.place.join(KEPT_FILE), self.place.join("kept.new"));
        let written = fs::write(&new, bytes).and_then(|()| fs::rename(&new, &file));
        written.map(|()| file.display().to_string()).map_err(|error| error.to_string())
    }
}
