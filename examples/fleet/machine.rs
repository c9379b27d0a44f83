//! A machine as a model: requests make work, work makes queues and heat, and all of it is measured.

use super::fault::Disturbance;
use super::profile::Profile;
use super::random::Random;
use super::{DAY, METRICS, Row};

/// Hours of a record.
const HOURS: f64 = 24.0 / DAY as f64;
/// A queue longer than this is cut by clients that give up.
const QUEUE_MAX: f64 = 40.0;
/// Degrees Celsius above which a processor slows itself down.
const THROTTLE_CELSIUS: f64 = 62.0;
/// How likely a value is to be lost on its way.
const LOST: f64 = 0.002;
/// How likely a reader of some metrics is to fail at a record.
const READER_FAILS: f64 = 0.0006;

/// A machine between two records.
#[derive(Clone, Debug)]
pub(super) struct Model {
    profile: Profile,
    random: Random,
    weekday: usize,
    row: usize,
    /// Mood of the users: slow, around 0.
    mood: f64,
    /// A small crowd, as comes now and then: how much and for how many more records.
    crowd: (f64, usize),
    release: Release,
    connections: f64,
    load: f64,
    /// Part of the cache that is warm.
    warm: f64,
    celsius: f64,
    /// Metrics that are not read, and for how many more records.
    unread: (std::ops::Range<usize>, usize),
}

/// What the version that is deployed differs in.
#[derive(Clone, Copy, Debug)]
struct Release {
    processor: f64,
    memory: f64,
    answer: f64,
    disk: f64,
}

/// What the machine is asked for, and what of that it does.
struct Work {
    usual: f64,
    requests: f64,
    busy: f64,
    read: f64,
    write: f64,
    queue: f64,
    latency: f64,
    backup: f64,
}

impl Model {
    /// A machine that starts at midnight of a day of the week, 0 for Monday.
    pub(super) fn new(profile: Profile, weekday: usize, random: Random) -> Self {
        Self {
            weekday,
            row: 0,
            mood: 0.0,
            crowd: (1.0, 0),
            release: Release { processor: 1.0, memory: 0.0, answer: 1.0, disk: 1.0 },
            connections: profile.requests_max * 0.1,
            load: profile.cores * 0.2,
            warm: 1.0,
            celsius: profile.ambient + 15.0,
            unread: (0..0, 0),
            profile,
            random,
        }
    }

    /// The next record, and what disturbs it.
    pub(super) fn step(&mut self, disturbance: Option<&Disturbance>) -> Row {
        let deployed = self.deploy();
        let usual = self.requests() * if deployed { 0.8 } else { 1.0 };
        let work = self.work(usual, disturbance);
        let row = self.measure(&work, disturbance);
        self.row += 1;
        self.lose(row, disturbance.and_then(|fault| fault.silent))
    }

    /// Puts a new version in place now and then, in working hours.
    fn deploy(&mut self) -> bool {
        let hour = (self.row % DAY) as f64 * HOURS;
        // A third of the day is working hours.
        let due = (8.0..16.0).contains(&hour) && self.random.chance(3.0 / self.profile.deployment_rows);
        if due {
            let random = &mut self.random;
            self.release = Release {
                processor: random.within(0.88, 1.14),
                memory: random.within(-1.5, 1.5),
                answer: random.within(0.88, 1.14),
                disk: random.within(0.85, 1.18),
            };
            self.warm = 0.3;
            self.connections *= 0.6;
        }
        self.warm += 0.06 * (1.0 - self.warm);
        due
    }

    /// Requests in a second: hour, day of the week, mood and small crowds.
    fn requests(&mut self) -> f64 {
        let Self { profile, random, .. } = self;
        let hour = (self.row % DAY) as f64 * HOURS;
        let angle = (hour - profile.quiet_hour) / 24.0 * std::f64::consts::TAU;
        // Busy before noon and again in the evening, quiet at night.
        let shape = (0.5 - 0.5 * angle.cos() + 0.14 * (2.0 * angle).sin()).max(0.0);
        let weekend = (self.weekday + self.row / DAY) % 7 >= 5;
        let swing = profile.swing * if weekend { profile.weekend } else { 1.0 };
        self.mood = 0.96 * self.mood + 0.28 * profile.restlessness * random.normal() * 4.0;
        if self.crowd.1 > 0 {
            self.crowd.1 -= 1;
        } else {
            let comes = random.chance(1.0 / 110.0);
            self.crowd = if comes { (random.within(1.1, 1.45), random.index(7)) } else { (1.0, 0) };
        }
        let users = (0.35 * self.mood).exp() * random.factor(0.4 * profile.restlessness);
        profile.requests_max * (profile.quiet + swing * shape) * users * self.crowd.0
    }

    fn work(&mut self, usual: f64, disturbance: Option<&Disturbance>) -> Work {
        let Self { profile, random, release, .. } = self;
        // Drawn whether or not it is needed, so that a fault changes nothing but what depends on it.
        let greed = random.within(0.6, 1.4);
        let stolen = disturbance.map_or(0.0, |fault| fault.stolen * greed);
        let slow = 1.0 + 0.03 * (self.celsius - THROTTLE_CELSIUS).max(0.0);
        // A crowd that looks around asks for little: its answers are short and come from memory.
        let requests = usual * (1.0 + disturbance.map_or(0.0, |fault| fault.crowd));
        let share = requests / profile.requests_max;
        let own = 0.03 + share * profile.processor * release.processor * slow * random.factor(0.03);
        let busy = own + stolen;

        let (backup, compaction) = chores(profile, self.row);
        let leaked = disturbance.map_or(0.0, |fault| fault.leaked);
        // Memory that leaked is missing as a cache of files.
        let misses = 1.0 + 0.8 * (1.0 - self.warm) + 0.015 * leaked;
        let read = usual * profile.read_bytes * misses * release.disk * random.factor(0.06)
            + profile.disk_bytes * 0.25 * backup;
        let write = usual * profile.write_bytes * release.disk * random.factor(0.06)
            + profile.disk_bytes * (0.22 * compaction * random.factor(0.1) + 0.01);
        let able = profile.disk_bytes * disturbance.map_or(1.0, |fault| fault.disk);
        let (wanted, others) = (read + write, 0.6 * stolen * profile.disk_bytes);
        let done = (0.95 * able / (wanted + others)).min(1.0);
        let full = ((wanted + others) / able).min(0.975);
        let queue = (full / (1.0 - full) * random.factor(0.08)).min(QUEUE_MAX);

        let crowded = busy.min(0.97);
        let waiting = crowded.powi(3) / (1.0 - crowded);
        let latency = profile.service_ms * (1.0 + 1.5 * waiting + 0.08 * queue) * random.factor(0.04);
        Work { usual, requests, busy, read: read * done, write: write * done, queue, latency, backup }
    }

    fn measure(&mut self, work: &Work, disturbance: Option<&Disturbance>) -> Row {
        let Self { profile, random, release, .. } = self;
        let requests = work.requests;
        let open = requests * (0.4 + work.latency / 150.0);
        self.connections += 0.6 * (open - self.connections);
        let impatient = (work.latency / profile.service_ms - 2.5).max(0.0) * 0.004;
        let failed = requests * (0.0006 + impatient) * 300.0;
        let errors = (failed + failed.sqrt() * random.normal()).max(0.0) / 300.0;
        let running = profile.cores * work.busy * (1.0 + work.busy.powi(4)) + 0.35 * work.queue;
        self.load += 0.7 * (running - self.load);

        let leaked = disturbance.map_or(0.0, |fault| fault.leaked);
        let memory = profile.memory
            + release.memory
            + 9.0 * self.warm
            + 14.0 * (self.connections / profile.requests_max)
            + leaked
            + 0.25 * random.normal();

        let fan_able = disturbance.map_or(1.0, |fault| fault.fan);
        let wanted_fan = (1.0 + 0.035 * (self.celsius - profile.ambient - 12.0)).clamp(0.7, 2.6);
        let turning = wanted_fan * fan_able;
        let rise = 9.0 + profile.heat * work.busy.min(1.0);
        let still = rise / (0.35 + 0.65 * turning);
        let hour = (self.row % DAY) as f64 * HOURS;
        let room = profile.ambient + 1.2 * ((hour - 15.0) / 24.0 * std::f64::consts::TAU).cos();
        self.celsius += 0.45 * (room + still - self.celsius);

        [
            requests,
            self.connections,
            work.latency,
            errors,
            (100.0 * work.busy).min(100.0),
            self.load,
            memory.clamp(1.0, 98.5),
            work.read,
            work.write,
            work.queue,
            requests * profile.question_bytes * random.factor(0.03),
            work.usual * profile.answer_bytes * release.answer * random.factor(0.03)
                + 0.2 * profile.disk_bytes * work.backup,
            self.celsius + 0.2 * random.normal(),
            profile.fan * turning * random.factor(0.01),
        ]
    }

    /// What of a record reaches the file.
    fn lose(&mut self, mut row: Row, silent: Option<usize>) -> Row {
        if let Some(silent) = silent {
            row[silent] = 0.0;
        }
        let random = &mut self.random;
        if self.unread.1 > 0 {
            self.unread.1 -= 1;
        } else if random.chance(READER_FAILS) {
            let start = random.index(METRICS.len() - 2);
            self.unread = (start..start + 2, 3 + random.index(12));
        }
        let unread = if self.unread.1 > 0 { self.unread.0.clone() } else { 0..0 };
        for (metric, value) in row.iter_mut().enumerate() {
            if unread.contains(&metric) || random.chance(LOST) {
                *value = f64::NAN;
            }
        }
        row
    }
}

/// How much of the nightly backup and of a compaction falls on a record, 0 to 1.
fn chores(profile: &Profile, row: usize) -> (f64, f64) {
    let starts = (profile.backup_hour / HOURS) as usize;
    let backup = (starts..starts + profile.backup_rows).contains(&(row % DAY));
    let compaction = match row % profile.compaction_rows {
        0 => 1.0,
        1 => 0.5,
        _ => 0.0,
    };
    (f64::from(u8::from(backup)), compaction)
}
