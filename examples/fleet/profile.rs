//! The character of a machine: what it does, how large it is, and the habits of its users.

use super::random::Random;

/// What a machine does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Serves pages: much to send, little to store.
    Web,
    /// Answers programs: processor first.
    Api,
    /// Stores: disk first.
    Database,
    /// Works off a queue: steady, memory first.
    Worker,
}

impl Role {
    /// Roles as a fleet grows.
    pub(super) fn nth(index: usize) -> Self {
        [Self::Web, Self::Api, Self::Database, Self::Worker][index % 4]
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Api => "api",
            Self::Database => "database",
            Self::Worker => "worker",
        }
    }

    /// Processor, disk reads, disk writes, answers and memory, against a machine that does a bit of all.
    fn leaning(self) -> [f64; 5] {
        match self {
            Self::Web => [1.0, 0.8, 0.8, 1.6, 0.9],
            Self::Api => [1.3, 0.7, 0.9, 0.9, 0.9],
            Self::Database => [0.85, 1.6, 1.6, 0.9, 1.2],
            Self::Worker => [1.1, 1.1, 1.2, 0.7, 1.3],
        }
    }
}

/// Everything that stays the same about a machine.
#[derive(Clone, Debug)]
pub(super) struct Profile {
    /// Processor cores.
    pub(super) cores: f64,
    /// Requests in a second that would keep all cores busy.
    pub(super) requests_max: f64,
    /// Share of that at the quietest hour.
    pub(super) quiet: f64,
    /// What the busiest hour adds.
    pub(super) swing: f64,
    /// Hour of the day at which it is quietest.
    pub(super) quiet_hour: f64,
    /// What is left of the swing on Saturday and Sunday.
    pub(super) weekend: f64,
    /// How much users differ from one quarter of an hour to the next.
    pub(super) restlessness: f64,
    /// Processor share used at `requests_max` requests, beside an idle share.
    pub(super) processor: f64,
    /// Bytes read from disk for a request.
    pub(super) read_bytes: f64,
    /// Bytes written to disk for a request.
    pub(super) write_bytes: f64,
    /// Bytes of a question and of its answer.
    pub(super) question_bytes: f64,
    /// Bytes of an answer.
    pub(super) answer_bytes: f64,
    /// Bytes a second that the disk can do.
    pub(super) disk_bytes: f64,
    /// Memory used by an idle machine, in percent.
    pub(super) memory: f64,
    /// Time for a request when nobody waits, in milliseconds.
    pub(super) service_ms: f64,
    /// Hour of the nightly backup, and how long it takes, in records.
    pub(super) backup_hour: f64,
    /// Records that the backup takes.
    pub(super) backup_rows: usize,
    /// Records between two compactions of its files.
    pub(super) compaction_rows: usize,
    /// Air around it, and what full load adds, in degrees Celsius.
    pub(super) ambient: f64,
    /// Degrees Celsius that full load adds at full cooling.
    pub(super) heat: f64,
    /// Fan speed at rest, in revolutions a minute.
    pub(super) fan: f64,
    /// Records between two deployments, on average.
    pub(super) deployment_rows: f64,
}

impl Profile {
    /// Draws a machine: its role's leaning, its own size, and some chance in all of it.
    pub(super) fn draw(role: Role, random: &mut Random) -> Self {
        let [processor, read, write, answer, memory] = role.leaning();
        let cores = [8.0, 16.0, 32.0][random.index(3)];
        let requests_max = cores * random.within(60.0, 140.0);
        let steady = if role == Role::Worker { 0.7 } else { 1.0 };
        let mut about = |value: f64| value * random.factor(0.15);
        let read_bytes = about(14_000.0 * read);
        let write_bytes = about(9_000.0 * write);
        // Disks are bought for the load they carry: busy at noon, but far from full.
        let disk_bytes = requests_max * (read_bytes + write_bytes) * about(1.25);
        Self {
            cores,
            requests_max,
            quiet: about(0.13 / steady),
            swing: about(0.36 * steady),
            processor: (0.85 * about(processor)).min(1.15),
            read_bytes,
            write_bytes,
            question_bytes: about(1_800.0),
            answer_bytes: about(16_000.0 * answer),
            disk_bytes,
            memory: (36.0 * about(memory)).min(55.0),
            service_ms: about(30.0),
            heat: about(34.0),
            fan: about(2_600.0),
            deployment_rows: about(1_300.0),
            quiet_hour: random.within(2.0, 6.5),
            weekend: random.within(0.5, 0.9),
            restlessness: random.within(0.05, 0.09),
            backup_hour: random.within(0.0, 5.0),
            backup_rows: 6 + random.index(10),
            compaction_rows: [12, 24, 36][random.index(3)],
            ambient: random.within(21.0, 27.0),
        }
    }
}
