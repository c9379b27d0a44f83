//! Server telemetry out of a seed: a small fleet with days, weeks, deployments and labelled faults.
//!
//! Each machine is a little queueing and heat model driven by its users: requests cost processor time, heat
//! follows the processor, fans follow heat, latency follows queues. A fault disturbs one part of the model and
//! shows in the metrics that depend on it, so nothing here knows how a detector will look at them.
//!
//! The same seed gives the same bytes on the same kind of processor; a machine does not depend on how many
//! others there are, but for the newcomer, which is always the last one.

mod fault;
mod files;
mod machine;
mod profile;
mod random;

pub use fault::{Fault, Kind};
pub use files::write;

use machine::Model;
use profile::{Profile, Role};
pub use random::Random;

/// Seconds between two records.
pub const INTERVAL_S: u32 = 300;
/// Records of a day.
pub const DAY: usize = 288;
/// Days of healthy history of every machine but the newcomer.
pub const TRAINING_DAYS: usize = 14;
/// Days of labelled telemetry after it.
pub const TEST_DAYS: usize = 7;
/// Records of history that the newcomer has: one day, 7 % of what the others have.
pub const NEWCOMER_RECORDS: usize = DAY;
/// The most machines that get a name of their own.
pub const MACHINES_MAX: usize = 64;

/// Metrics of every machine, in the order of the columns.
pub const METRICS: [&str; 14] = [
    "requests_per_s",
    "connections",
    "latency_ms",
    "errors_per_s",
    "cpu_percent",
    "load1",
    "memory_percent",
    "disk_read_bytes_per_s",
    "disk_write_bytes_per_s",
    "disk_queue",
    "net_rx_bytes_per_s",
    "net_tx_bytes_per_s",
    "temperature_celsius",
    "fan_rpm",
];

/// One record: a value for each of [`METRICS`]; NaN where it is missing.
pub type Row = [f64; METRICS.len()];

/// One machine and what it measured.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its name, which says what it does.
    pub name: String,
    /// Healthy history.
    pub training: Vec<Row>,
    /// What came right after it.
    pub test: Vec<Row>,
    /// What went wrong in `test`, in order of time and apart from each other.
    pub faults: Vec<Fault>,
}

impl Machine {
    /// Whether each test record is part of a fault.
    pub fn labels(&self) -> Vec<bool> {
        let anomalous =
            |row| self.faults.iter().any(|fault| (fault.start..=fault.end_inclusive).contains(&row));
        (0..self.test.len()).map(anomalous).collect()
    }
}

/// Makes a fleet of so many machines; the last is the newcomer.
///
/// # Panics
///
/// With no machine, or more than [`MACHINES_MAX`].
pub fn generate(seed: u64, machines: usize) -> Vec<Machine> {
    assert!((1..=MACHINES_MAX).contains(&machines), "1 to {MACHINES_MAX} machines");
    // The calendar is the fleet's; everything else is the machine's own.
    let first_weekday = Random::new(seed, 0).index(7);
    let mut names = Vec::new();
    for index in 0..machines {
        let role = if index + 1 == machines { Role::Web } else { Role::nth(index) };
        let alike = names.iter().filter(|(other, _)| *other == role).count();
        names.push((role, format!("{}-{}", role.name(), alike + 1)));
    }
    let machine = |(index, (role, name)): (usize, (Role, String))| {
        let newcomer = index + 1 == machines;
        let random = Random::new(seed, if newcomer { u64::MAX } else { index as u64 + 1 });
        one(name, role, newcomer, first_weekday, random)
    };
    names.into_iter().enumerate().map(machine).collect()
}

fn one(name: String, role: Role, newcomer: bool, first_weekday: usize, mut random: Random) -> Machine {
    let profile = Profile::draw(role, &mut random);
    let faults = fault::schedule(TEST_DAYS * DAY, &mut random);
    let mut model = Model::new(profile, first_weekday, random);
    let training = (0..TRAINING_DAYS * DAY).map(|_| model.step(None)).collect::<Vec<_>>();
    let test = (0..TEST_DAYS * DAY)
        .map(|row| model.step(faults.iter().find_map(|fault| fault.at(row)).as_ref()))
        .collect();
    let unknown = if newcomer { training.len() - NEWCOMER_RECORDS } else { 0 };
    Machine { name, training: training[unknown..].to_vec(), test, faults }
}

#[cfg(test)]
mod tests;
