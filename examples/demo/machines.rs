//! The machines of a demo: folders of telemetry, made here or given.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use examples::fleet;
use flate2::read::GzDecoder;

/// A machine's telemetry on disk.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// Its name: that of its folder.
    pub(crate) name: String,
    /// Where its files are.
    pub(crate) folder: PathBuf,
    /// Records to train on.
    pub(crate) records: u64,
    /// What its faults are called, by their first record; empty for a data set, which does not say.
    pub(crate) faults: BTreeMap<usize, &'static str>,
}

/// All machines, and what they have in common.
#[derive(Clone, Debug)]
pub(crate) struct Machines {
    /// In order of name.
    pub(crate) all: Vec<Machine>,
    /// Names of the metrics of all of them.
    pub(crate) metrics: Vec<String>,
    /// Records to train on that most of them have: the median.
    pub(crate) usual_records: u64,
}

impl Machine {
    /// One of its files.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Machines {
    /// Whether a machine has far less history than the others.
    pub(crate) fn is_newcomer(&self, machine: &Machine) -> bool {
        machine.records * 4 < self.usual_records
    }

    /// Makes a fleet and writes it under `dir`, a folder a machine.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub(crate) fn make(seed: u64, count: usize, dir: &Path) -> Result<Self> {
        let fleet = fleet::generate(seed, count);
        for machine in &fleet {
            let folder = dir.join(&machine.name);
            fleet::write(machine, &folder).with_context(|| folder.display().to_string())?;
        }
        let mut machines = Self::read(dir)?;
        for machine in &mut machines.all {
            let made = fleet.iter().filter(|made| made.name == machine.name);
            machine.faults = made
                .flat_map(|made| made.faults.iter().map(|fault| (fault.start, fault.kind.name())))
                .collect();
        }
        Ok(machines)
    }

    /// Finds the machines of a data set.
    ///
    /// # Errors
    ///
    /// Names the folder or file that is missing, cannot be read, or has other metrics than the first.
    pub(crate) fn read(dir: &Path) -> Result<Self> {
        let dir = dir.canonicalize().with_context(|| dir.display().to_string())?;
        let mut folders = Vec::new();
        for entry in std::fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
            let path = entry.with_context(|| dir.display().to_string())?.path();
            if path.is_dir() {
                folders.push(path);
            }
        }
        folders.sort();
        let mut first: Option<(PathBuf, Vec<String>)> = None;
        let mut all = Vec::new();
        for folder in folders {
            let (machine, metrics) = machine(&folder)?;
            match &first {
                None => first = Some((folder, metrics)),
                Some((other, known)) if *known != metrics => {
                    bail!("{} and {} do not have the same metrics", folder.display(), other.display());
                }
                Some(_) => (),
            }
            all.push(machine);
        }
        let Some((_, metrics)) = first else {
            bail!("{}: no folder with train.csv.gz, test.csv.gz and test_label.csv.gz", dir.display());
        };
        let mut records: Vec<u64> = all.iter().map(|machine| machine.records).collect();
        records.sort_unstable();
        Ok(Self { usual_records: records[records.len() / 2], all, metrics })
    }
}

fn machine(folder: &Path) -> Result<(Machine, Vec<String>)> {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if name.is_empty() || name.contains(char::is_whitespace) {
        bail!("{}: a machine's name must be text without blanks", folder.display());
    }
    for file in ["test.csv.gz", "test_label.csv.gz"] {
        if !folder.join(file).is_file() {
            bail!("{} is missing", folder.join(file).display());
        }
    }
    let train = folder.join("train.csv.gz");
    let (metrics, records) = measure(&train).with_context(|| train.display().to_string())?;
    Ok((
        Machine { name: name.to_owned(), folder: folder.to_owned(), records, faults: BTreeMap::new() },
        metrics,
    ))
}

/// The metrics of a file, and how many records it has.
fn measure(path: &Path) -> Result<(Vec<String>, u64)> {
    let mut lines = BufReader::new(GzDecoder::new(File::open(path)?)).lines();
    let header = lines.next().context("the file is empty")??;
    let mut records = 0;
    for line in lines {
        records += u64::from(!line?.is_empty());
    }
    Ok((header.split(',').map(|name| name.trim().to_owned()).collect(), records))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fleet_that_was_made_is_read_like_a_data_set_and_its_newcomer_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let machines = Machines::make(1, 3, dir.path()).unwrap();
        assert_eq!((machines.metrics.len(), machines.usual_records), (fleet::METRICS.len(), 4032));
        let newcomers: Vec<&str> = machines
            .all
            .iter()
            .filter(|machine| machines.is_newcomer(machine))
            .map(|machine| &*machine.name)
            .collect();
        assert_eq!(newcomers, ["web-2"]);
        assert!(machines.all.iter().all(|machine| machine.faults.len() == 8));
    }

    #[test]
    fn a_folder_that_is_no_data_set_is_named_with_what_it_lacks() {
        let dir = tempfile::tempdir().unwrap();
        let error = |dir: &Path| Machines::read(dir).unwrap_err().to_string();
        assert!(error(dir.path()).contains("no folder with train.csv.gz"));
        std::fs::create_dir(dir.path().join("web-1")).unwrap();
        assert!(error(dir.path()).ends_with("web-1/test.csv.gz is missing"), "{}", error(dir.path()));
    }
}
