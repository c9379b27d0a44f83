//! Faults: what can go wrong, when it does, and which part of a machine it disturbs.

use super::METRICS;
use super::random::Random;

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Memory that is never given back, until somebody restarts the program.
    MemoryLeak,
    /// A disk that does a fraction of its work.
    StuckDisk,
    /// Far more requests than usual.
    TrafficSpike,
    /// A fan that slows down or stops.
    FanFailure,
    /// Another tenant of the same host takes processor time and disk.
    NoisyNeighbour,
    /// A counter that no longer counts while its machine works on.
    SilentCounter,
}

/// A stretch of telemetry in which something was wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// What was wrong.
    pub kind: Kind,
    /// Its first test record, counted from 0.
    pub start: usize,
    /// Its last test record.
    pub end_inclusive: usize,
    /// The metrics that show it, as indices of [`METRICS`].
    pub metrics: Vec<usize>,
    /// How strong it is, 0 to 1.
    strength: f64,
}

/// What a fault does to a machine at one record.
#[derive(Clone, Debug)]
pub(super) struct Disturbance {
    /// Requests of a crowd that only looks around, as a share of the usual ones.
    pub(super) crowd: f64,
    /// Memory that leaked, in percent.
    pub(super) leaked: f64,
    /// What the disk can still do.
    pub(super) disk: f64,
    /// What the fan can still do.
    pub(super) fan: f64,
    /// Share of the processor that is somebody else's.
    pub(super) stolen: f64,
    /// A metric that stays at zero.
    pub(super) silent: Option<usize>,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::MemoryLeak,
        Self::StuckDisk,
        Self::TrafficSpike,
        Self::FanFailure,
        Self::NoisyNeighbour,
        Self::SilentCounter,
    ];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::MemoryLeak => "memory leak",
            Self::StuckDisk => "stuck disk",
            Self::TrafficSpike => "traffic spike",
            Self::FanFailure => "fan failure",
            Self::NoisyNeighbour => "noisy neighbour",
            Self::SilentCounter => "silent counter",
        }
    }

    /// Shortest and longest duration, in records.
    fn rows(self) -> (usize, usize) {
        match self {
            Self::MemoryLeak => (30, 72),
            Self::StuckDisk | Self::TrafficSpike => (8, 22),
            Self::FanFailure => (14, 40),
            Self::NoisyNeighbour => (14, 36),
            Self::SilentCounter => (18, 48),
        }
    }

    /// The metrics that show it; of a silent counter, those that it may be.
    fn metrics(self) -> &'static [&'static str] {
        match self {
            Self::MemoryLeak => &["memory_percent", "disk_read_bytes_per_s"],
            Self::StuckDisk => &["disk_queue", "latency_ms", "load1"],
            Self::TrafficSpike => {
                &["requests_per_s", "connections", "cpu_percent", "load1", "net_rx_bytes_per_s"]
            }
            Self::FanFailure => &["fan_rpm", "temperature_celsius"],
            Self::NoisyNeighbour => &["cpu_percent", "load1", "latency_ms", "disk_queue"],
            Self::SilentCounter => {
                &["requests_per_s", "disk_write_bytes_per_s", "net_rx_bytes_per_s", "net_tx_bytes_per_s"]
            }
        }
    }
}

impl Fault {
    fn draw(kind: Kind, start: usize, rows: usize, random: &mut Random) -> Self {
        let index = |name: &&str| METRICS.iter().position(|metric| metric == name);
        let mut metrics: Vec<usize> = kind.metrics().iter().filter_map(index).collect();
        if kind == Kind::SilentCounter {
            metrics = vec![metrics[random.index(metrics.len())]];
        }
        metrics.sort_unstable();
        Self { kind, start, end_inclusive: start + rows - 1, metrics, strength: random.within(0.0, 1.0) }
    }

    /// What it does at a test record; nothing before and after.
    pub(super) fn at(&self, row: usize) -> Option<Disturbance> {
        if !(self.start..=self.end_inclusive).contains(&row) {
            return None;
        }
        let part = (row - self.start + 1) as f64 / (self.end_inclusive - self.start + 1) as f64;
        let strength = self.strength;
        let mut disturbance =
            Disturbance { crowd: 0.0, leaked: 0.0, disk: 1.0, fan: 1.0, stolen: 0.0, silent: None };
        match self.kind {
            Kind::MemoryLeak => disturbance.leaked = part * (8.0 + 14.0 * strength),
            Kind::StuckDisk => disturbance.disk = 0.45 - 0.2 * strength,
            // Rises and falls: a crowd comes, and goes.
            Kind::TrafficSpike => {
                let crowd = (std::f64::consts::PI * part).sin().max(0.0).sqrt();
                disturbance.crowd = (0.35 + 0.5 * strength) * crowd;
            }
            Kind::FanFailure => disturbance.fan = 0.85 - 0.3 * strength,
            Kind::NoisyNeighbour => disturbance.stolen = 0.08 + 0.14 * strength,
            Kind::SilentCounter => disturbance.silent = self.metrics.first().copied(),
        }
        Some(disturbance)
    }
}

/// Faults of one machine: every kind once and two more, in any order, with quiet hours between them.
pub(super) fn schedule(rows: usize, random: &mut Random) -> Vec<Fault> {
    let mut kinds = Kind::ALL.to_vec();
    for _ in 0..2 {
        kinds.push(Kind::ALL[random.index(Kind::ALL.len())]);
    }
    for last in (1..kinds.len()).rev() {
        kinds.swap(last, random.index(last + 1));
    }
    // Each fault has a slot of its own, and leaves the last quarter of it in peace.
    let slot = rows / kinds.len();
    let place = |(number, kind): (usize, &Kind)| {
        let (least, most) = kind.rows();
        let length = least + random.index(most - least + 1);
        let start = number * slot + random.index(slot * 3 / 4 - length);
        Fault::draw(*kind, start, length, random)
    };
    kinds.iter().enumerate().map(place).collect()
}
