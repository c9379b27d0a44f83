//! Who gives orders to the coordinator of a fleet.

use std::fs;
use std::process::Output;

use coordinator::view::RunView;
use harness::programs::{complaint, edit, run};

use crate::fleet::Fleet;

/// Who gives orders.
pub(crate) struct Operator(pub(crate) Fleet);

impl Operator {
    /// A configuration of this name and so many rounds; returns its path.
    pub(crate) fn config(&self, name: &str, rounds: u32) -> String {
        let file = self.0.at(&format!("{name}.toml"));
        fs::copy(&self.0.config, &file).expect("the configuration can be copied");
        edit(&file, |text| {
            text.replace("first-run", name).replace("rounds = 1\n", &format!("rounds = {rounds}\n"))
        });
        file.display().to_string()
    }

    /// Starts a run of this name; returns its id.
    pub(crate) fn start(&self, name: &str, rounds: u32) -> String {
        let config = self.config(name, rounds);
        self.order(&["start", "--config", &config])
    }

    /// What the program prints with these words.
    pub(crate) fn ask(&self, words: &[&str]) -> String {
        let done = run("coordinator", &[&["--dir", &self.0.folder()][..], words].concat());
        let complaint = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{words:?}: {complaint}\n{}", self.0.logs());
        String::from_utf8(done.stdout).expect("what is printed is text").trim().to_owned()
    }

    /// Does something with runs, however that ends.
    pub(crate) fn run(&self, words: &[&str]) -> Output {
        run("coordinator", &[&["--dir", &self.0.folder(), "run"][..], words].concat())
    }

    /// Does something with a run; returns what was printed.
    pub(crate) fn order(&self, words: &[&str]) -> String {
        self.ask(&[&["run"], words].concat())
    }

    pub(crate) fn refused(&self, words: &[&str]) -> String {
        complaint(&self.run(words))
    }

    pub(crate) fn view(&self, id: &str) -> RunView {
        self.0.runs().into_iter().find(|run| run.run == id).expect("it is listed")
    }

    pub(crate) fn until(&self, id: &str, so: impl Fn(&RunView) -> bool) {
        self.0.until(|| so(&self.view(id)));
    }
}
