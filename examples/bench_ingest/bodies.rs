//! Requests as OpenTelemetry's collector sends them: what its receiver `hostmetrics` finds on forty hosts, in one
//! batch, in protobuf (opentelemetry-proto 1.x).

use std::io::Write;

use anyhow::Result;
use flate2::Compression;
use flate2::write::GzEncoder;
use rand::{Rng, RngExt};

/// Data points of one request.
pub(crate) const POINTS: u64 = HOSTS * 250;

const HOSTS: u64 = 40;

/// What the numbers of a metric are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    GaugeDouble,
    SumDouble,
    SumInt,
}
use Kind::{GaugeDouble, SumDouble, SumInt};

/// Attributes whose values are combined, each with each: a point for each combination.
type Attributes = &'static [(&'static str, &'static [&'static str])];

const DIRECTION: &[&str] = &["read", "write"];
const DISKS: &[&str] = &["nvme0n1", "nvme0n1p1", "nvme0n1p2", "sda", "sdb", "dm-0"];
const IO: &[&str] = &["transmit", "receive"];
const LINKS: &[&str] = &["lo", "eth0", "eth1", "docker0"];
const MEMORY: &[&str] = &["used", "free", "cached", "buffered", "slab_reclaimable", "slab_unreclaimable"];
const DISK: Attributes = &[("device", DISKS), ("direction", DIRECTION)];
const NETWORK: Attributes = &[("device", LINKS), ("direction", IO)];

/// Scraper, name, unit, numbers and attributes; 250 points together.
const METRICS: [(&str, &str, &str, Kind, Attributes); 17] = [
    (
        "cpu",
        "system.cpu.time",
        "s",
        SumDouble,
        &[
            (
                "cpu",
                &[
                    "cpu0", "cpu1", "cpu2", "cpu3", "cpu4", "cpu5", "cpu6", "cpu7", "cpu8", "cpu9", "cpu10",
                    "cpu11", "cpu12", "cpu13", "cpu14", "cpu15",
                ],
            ),
            ("state", &["user", "system", "idle", "interrupt", "nice", "softirq", "steal", "wait"]),
        ],
    ),
    ("load", "system.cpu.load_average.1m", "{thread}", GaugeDouble, &[]),
    ("load", "system.cpu.load_average.5m", "{thread}", GaugeDouble, &[]),
    ("load", "system.cpu.load_average.15m", "{thread}", GaugeDouble, &[]),
    ("memory", "system.memory.usage", "By", SumInt, &[("state", MEMORY)]),
    ("memory", "system.memory.utilization", "1", GaugeDouble, &[("state", MEMORY)]),
    ("disk", "system.disk.io", "By", SumInt, DISK),
    ("disk", "system.disk.operations", "{operations}", SumInt, DISK),
    ("disk", "system.disk.operation_time", "s", SumDouble, DISK),
    ("disk", "system.disk.merged", "{operations}", SumInt, DISK),
    ("network", "system.network.io", "By", SumInt, NETWORK),
    ("network", "system.network.packets", "{packets}", SumInt, NETWORK),
    ("network", "system.network.errors", "{errors}", SumInt, NETWORK),
    ("network", "system.network.dropped", "{packets}", SumInt, NETWORK),
    (
        "network",
        "system.network.connections",
        "{connections}",
        SumInt,
        &[
            ("protocol", &["tcp"]),
            ("state", &["ESTABLISHED", "LISTEN", "TIME_WAIT", "CLOSE_WAIT", "SYN_SENT", "SYN_RECV", "CLOSE"]),
        ],
    ),
    (
        "filesystem",
        "system.filesystem.usage",
        "By",
        SumInt,
        &[
            ("device", &["/dev/nvme0n1p1", "/dev/nvme0n1p2", "/dev/sda1", "/dev/sdb1", "/dev/dm-0"]),
            ("mode", &["rw"]),
            ("mountpoint", &["/"]),
            ("type", &["ext4"]),
            ("state", &["used", "free", "reserved"]),
        ],
    ),
    (
        "processes",
        "system.processes.count",
        "{processes}",
        SumInt,
        &[("status", &["running", "sleeping", "blocked", "zombies", "stopped"])],
    ),
];

/// A message being written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn number(&mut self, field: u64, number: u64) {
        self.varint(field << 3);
        self.varint(number);
    }

    fn fixed(&mut self, field: u64, bits: u64) {
        self.varint(field << 3 | 1);
        self.0.extend_from_slice(&bits.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn message(&mut self, field: u64, write: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        write(&mut inner);
        self.bytes(field, &inner.0);
    }

    /// A `KeyValue` whose value is text.
    fn attribute(&mut self, field: u64, key: &str, value: &str) {
        self.message(field, |attribute| {
            attribute.bytes(1, key.as_bytes());
            attribute.message(2, |any| any.bytes(1, value.as_bytes()));
        });
    }
}

/// An `ExportMetricsServiceRequest` with [`POINTS`] data points of the second `unix_s`.
pub(crate) fn request(unix_s: u64, random: &mut impl Rng) -> Vec<u8> {
    let mut request = Message::default();
    for host in 0..HOSTS {
        request.message(1, |part| {
            part.message(1, |resource| {
                resource.attribute(1, "host.name", &format!("host-{host}.example.com"));
                resource.attribute(1, "os.type", "linux");
                resource.attribute(1, "deployment.environment.name", "production");
            });
            for scope in METRICS.chunk_by(|one, other| one.0 == other.0) {
                part.message(2, |out| {
                    let scraper = format!(
                        "github.com/open-telemetry/opentelemetry-collector-contrib/receiver/\
                         hostmetricsreceiver/internal/scraper/{}scraper",
                        scope[0].0
                    );
                    out.message(1, |about| {
                        about.bytes(1, scraper.as_bytes());
                        about.bytes(2, b"0.110.0");
                    });
                    for metric in scope {
                        out.message(2, |out| put_metric(out, *metric, unix_s, random));
                    }
                });
            }
            part.bytes(3, b"https://opentelemetry.io/schemas/1.9.0");
        });
    }
    request.0
}

fn put_metric(
    out: &mut Message,
    (_, name, unit, kind, attributes): (&str, &str, &str, Kind, Attributes),
    unix_s: u64,
    random: &mut impl Rng,
) {
    out.bytes(1, name.as_bytes());
    out.bytes(2, b"What the operating system says of it since it was started.");
    out.bytes(3, unit.as_bytes());
    let field = if kind == GaugeDouble { 5 } else { 7 };
    out.message(field, |numbers| {
        let count: usize = attributes.iter().map(|(_, values)| values.len()).product();
        for index in 0..count {
            numbers.message(1, |point| {
                point.fixed(2, (unix_s - 86_400) * 1_000_000_000);
                point.fixed(3, unix_s * 1_000_000_000);
                match kind {
                    SumInt => point.fixed(6, random.random_range(0..1 << 40)),
                    GaugeDouble | SumDouble => point.fixed(4, random.random_range(0.0..1e6_f64).to_bits()),
                }
                let mut rest = index;
                for (key, values) in attributes {
                    point.attribute(7, key, values[rest % values.len()]);
                    rest /= values.len();
                }
            });
        }
        if kind != GaugeDouble {
            numbers.number(2, 2); // cumulative
            numbers.number(3, 1); // monotonic
        }
    });
}

pub(crate) fn gzip(body: &[u8]) -> Result<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(body)?;
    Ok(packed.finish()?)
}
