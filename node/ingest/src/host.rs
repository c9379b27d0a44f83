//! This host's own metrics, as the operating system tells them (crate `sysinfo`).
//!
//! The list is fixed, so that all hosts of a fleet can train one model. What a machine does not have
//! (swap, a thermometer) is a missing value, NaN.

use std::sync::Arc;

use common::id::TenantId;
use common::model::MetricName;
use common::units::Timestamp;
use sysinfo::{Components, DiskRefreshKind, Disks, MemoryRefreshKind, Networks, System};

use super::error::{IngestError, Shown};
use crate::record::{Origin, TelemetryRecord};

/// The metrics in the order of the records' values; the unit is the end of each name.
///
/// Gauges: CPU time used by all cores since the sample before (0 to 100); load averages (processes
/// running or waiting); memory and swap in use, and the fullest disk (0 to 100); the hottest thermometer.
/// Rates, over the time since the sample before: bytes of all disks, each device counted once; bytes,
/// packets and errors of all network interfaces but loopback.
pub const METRICS: [&str; GAUGES + COUNTERS] = [
    "cpu_percent",
    "load_1m",
    "load_5m",
    "memory_percent",
    "swap_percent",
    "disk_percent",
    "temperature_celsius",
    "disk_read_bytes_per_s",
    "disk_written_bytes_per_s",
    "network_received_bytes_per_s",
    "network_transmitted_bytes_per_s",
    "network_received_packets_per_s",
    "network_transmitted_packets_per_s",
    "network_errors_per_s",
];

const GAUGES: usize = 7;
const COUNTERS: usize = 7;

/// What the operating system told at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// The first of [`METRICS`]: values as they are.
    pub gauges: [f32; GAUGES],
    /// The others: totals since the machine started.
    pub counters: [u64; COUNTERS],
}

/// The values of [`METRICS`] at `after`. A rate is missing without a sample before, when no time has
/// passed, and when a counter went backwards (a device was taken out, or the machine started again).
pub fn values(before: Option<&Sample>, after: &Sample) -> [f32; METRICS.len()] {
    let mut values = [f32::NAN; METRICS.len()];
    values[..GAUGES].copy_from_slice(&after.gauges);
    let Some(before) = before else {
        // CPU use is a rate too: it is counted between two samples.
        values[0] = f32::NAN;
        return values;
    };
    let elapsed_s = after.at.micros_since(before.at) as f64 / 1e6;
    for (value, (before, after)) in
        values[GAUGES..].iter_mut().zip(before.counters.iter().zip(after.counters))
    {
        if let Some(growth) = after.checked_sub(*before).filter(|_| elapsed_s > 0.0) {
            *value = (growth as f64 / elapsed_s) as f32;
        }
    }
    values
}

/// Samples this host. Takes the time from its caller, and the rest from the operating system.
pub struct Sampler {
    origin: Arc<Origin>,
    metrics: Arc<[MetricName]>,
    /// Where each value of a record is in [`METRICS`].
    chosen: Vec<usize>,
    before: Option<Sample>,
    system: System,
    disks: Disks,
    networks: Networks,
    components: Components,
}

impl Sampler {
    /// Opens the sources of the operating system. With `required`, the records have just these metrics.
    ///
    /// # Errors
    ///
    /// [`IngestError::Host`] when the operating system tells nothing, or when a
    /// required metric is not one of [`METRICS`].
    pub fn new(tenant: TenantId, required: Option<&[MetricName]>) -> Result<Self, IngestError> {
        let failed = |error: sysinfo::Error| IngestError::Host { reason: error.to_string() };
        let (metrics, chosen) = choose(required)?;
        Ok(Self {
            origin: Origin::new(tenant, System::host_name().as_deref().unwrap_or("host")),
            metrics,
            chosen,
            before: None,
            system: System::new().map_err(failed)?,
            disks: Disks::new().map_err(failed)?,
            networks: Networks::new().map_err(failed)?,
            components: Components::new().map_err(failed)?,
        })
    }

    /// Samples now. The first record has no rates.
    pub fn sample(&mut self, now: Timestamp) -> TelemetryRecord {
        let sample = self.read(now);
        let values = values(self.before.as_ref(), &sample);
        self.before = Some(sample);
        TelemetryRecord {
            origin: Arc::clone(&self.origin),
            at: now,
            metrics: Arc::clone(&self.metrics),
            values: self.chosen.iter().map(|&index| values[index]).collect(),
        }
    }

    fn read(&mut self, at: Timestamp) -> Sample {
        let usage = DiskRefreshKind::nothing().with_storage().with_io_usage();
        self.system.refresh_cpu_usage();
        self.system.refresh_memory_specifics(MemoryRefreshKind::everything());
        self.disks.refresh_specifics(true, usage);
        self.networks.refresh(true);
        self.components.refresh(true);
        let load = System::load_average();
        let load =
            |part: fn(&sysinfo::LoadAvg) -> f64| load.as_ref().map_or(f32::NAN, |load| part(load) as f32);
        let disks = &self.disks;
        let disk_percent = disks.iter().map(|disk| {
            percent(disk.total_space().saturating_sub(disk.available_space()), disk.total_space())
        });
        let temperatures = self.components.iter().filter_map(sysinfo::Component::temperature);
        let gauges = [
            self.system.global_cpu_usage(),
            load(|load| load.one),
            load(|load| load.five),
            percent(self.system.used_memory(), self.system.total_memory()),
            percent(self.system.used_swap(), self.system.total_swap()),
            // `f32::max` prefers any number to NaN.
            disk_percent.fold(f32::NAN, f32::max),
            temperatures.fold(f32::NAN, f32::max),
        ];
        let [read, written] = disk_bytes(&self.disks);
        let [received, transmitted, packets_in, packets_out, errors] = network_totals(&self.networks);
        let counters = [read, written, received, transmitted, packets_in, packets_out, errors];
        Sample { at, gauges, counters }
    }
}

fn choose(required: Option<&[MetricName]>) -> Result<(Arc<[MetricName]>, Vec<usize>), IngestError> {
    let all: Vec<MetricName> = METRICS.iter().filter_map(|name| MetricName::try_from(*name).ok()).collect();
    let Some(required) = required else {
        return Ok((all.into(), (0..METRICS.len()).collect()));
    };
    let place = |name: &MetricName| all.iter().position(|metric| metric == name);
    let missing: Vec<&MetricName> = required.iter().filter(|name| place(name).is_none()).collect();
    match missing.first() {
        Some(first) => Err(IngestError::Host { reason: format!("there is no metric {}", Shown::of(first)) }),
        None => Ok((required.into(), required.iter().filter_map(place).collect())),
    }
}

/// A part of a whole; missing where there is no whole.
fn percent(part: u64, whole: u64) -> f32 {
    if whole == 0 { f32::NAN } else { (part as f64 / whole as f64 * 100.0) as f32 }
}

/// Bytes read and written, each device once however often it is mounted.
fn disk_bytes(disks: &Disks) -> [u64; 2] {
    let mut names = std::collections::BTreeSet::new();
    disks.iter().filter(|disk| names.insert(disk.name())).fold([0; 2], |[read, written], disk| {
        let usage = disk.usage();
        [read.saturating_add(usage.total_read_bytes), written.saturating_add(usage.total_written_bytes)]
    })
}

fn network_totals(networks: &Networks) -> [u64; 5] {
    let outside = networks.iter().filter(|(name, _)| !matches!(name.to_str(), Some("lo" | "lo0")));
    outside.fold([0_u64; 5], |totals, (_, network)| {
        let errors = network.total_errors_on_received().saturating_add(network.total_errors_on_transmitted());
        let more = [
            network.total_received(),
            network.total_transmitted(),
            network.total_packets_received(),
            network.total_packets_transmitted(),
            errors,
        ];
        std::array::from_fn(|index| totals[index].saturating_add(more[index]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::TENANT;

    fn sample(second: u64, counters: [u64; COUNTERS]) -> Sample {
        Sample { at: Timestamp(second * 1_000_000), gauges: [50.0; GAUGES], counters }
    }

    #[test]
    fn rates_are_growth_over_time_and_missing_where_there_is_none() {
        let before = sample(10, [0, 100, 5, 0, 0, 0, 7]);
        let after = sample(14, [8, 100, 4, 1, 0, 0, 7]);
        let rates = &values(Some(&before), &after)[GAUGES..];
        assert_eq!(rates[..2], [2.0, 0.0]);
        assert!(rates[2].is_nan(), "a counter that went backwards has no rate");
        assert_eq!(rates[3..4], [0.25]);
        assert!(values(Some(&after), &after)[GAUGES..].iter().all(|rate| rate.is_nan()));
        assert_eq!(values(Some(&before), &after)[..GAUGES], [50.0; GAUGES]);
    }

    #[test]
    fn the_first_sample_has_gauges_but_no_rates() {
        let first = values(None, &sample(1, [9; COUNTERS]));
        assert!(first[0].is_nan() && first[GAUGES..].iter().all(|rate| rate.is_nan()));
        assert_eq!(first[1..GAUGES], [50.0; GAUGES - 1]);
    }

    #[test]
    fn this_host_is_sampled_in_the_documented_order() {
        let mut sampler = Sampler::new(TENANT, None).unwrap();
        sampler.sample(Timestamp(0));
        let record = sampler.sample(Timestamp(1_000_000));
        let names: Vec<&str> = record.metrics.iter().map(MetricName::as_str).collect();
        assert_eq!(names, METRICS);
        let memory = record.values[3];
        assert!(memory > 0.0 && memory <= 100.0, "memory in use: {memory} %");
        assert!(record.values.iter().all(|value| value.is_nan() || *value >= 0.0));
    }

    #[test]
    fn a_metric_that_a_host_does_not_have_is_refused_by_name() {
        let required = ["load_1m", "fan_rpm"].map(|name| MetricName::try_from(name).unwrap());
        let error = Sampler::new(TENANT, Some(&required)).err().unwrap();
        assert_eq!(error.to_string(), "host metrics: there is no metric `fan_rpm`");
        let mut sampler = Sampler::new(TENANT, Some(&required[..1])).unwrap();
        assert_eq!(sampler.sample(Timestamp(0)).values.len(), 1);
    }
}
