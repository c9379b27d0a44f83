//! The processes of a cell, led from here: they are started, meet each other, and make one transfer after another.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use common::units::Millis;
use edge::now;
use examples::usage::{rss_peak_mb, running_s};

use crate::cell::Cell;
use crate::part::Part;
use crate::site::Site;

/// How long anything may take besides: a start, keys, noise.
const PATIENCE: Millis = Millis(15_000);

/// What the processes of a cell run.
pub(crate) struct Program {
    pub(crate) path: OsString,
    /// What goes before the arguments of each part.
    pub(crate) args: Vec<String>,
    /// What is in its environment, for each place.
    pub(crate) environment: fn(&Part) -> Vec<(&'static str, String)>,
}

/// One transfer that arrived.
pub(crate) struct Transfer {
    /// From the first sender's start to the last receiver's end.
    pub(crate) ms: f64,
    /// Of it, until the last sender had sealed its blob, where blobs are sealed.
    pub(crate) seal_ms: Option<f64>,
    pub(crate) cpu_s: f64,
    pub(crate) sent_bytes: u64,
}

/// Who did not answer in time.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no answer in time from {}", .0.join(", "))]
pub(crate) struct Late(Vec<String>);

/// A process.
struct Worker {
    child: Child,
    orders: ChildStdin,
}

/// All processes of a cell: the senders, then the receivers. They are killed when it is dropped.
pub(crate) struct Crew<'s> {
    site: &'s Site,
    workers: Vec<Worker>,
    processes: Vec<u32>,
    senders: usize,
    said: Receiver<(usize, Option<String>)>,
    number: u64,
}

impl<'s> Crew<'s> {
    /// Starts them and lets them meet.
    pub(crate) fn start(cell: &Cell, site: &'s Site, program: &Program) -> Result<Result<Self, Late>> {
        let (senders, receivers) = cell.pattern.ends();
        let (say, said) = mpsc::channel();
        let mut workers = Vec::new();
        for place in 0..cell.processes() {
            let sends = place < senders;
            let part = Part {
                sends,
                index: if sends { place } else { place - senders },
                senders,
                receivers,
                bytes: cell.bytes,
                address: site.address(place),
                domain: site.domain(),
            };
            workers.push(Worker::start(place, &part, site, program, say.clone())?);
        }
        let processes = workers.iter().map(|worker| worker.child.id()).collect();
        let mut crew = Self { site, workers, processes, senders, said, number: 0 };
        let cards = match crew.hear(crew.all(), "here", PATIENCE)? {
            Ok(cards) => cards,
            Err(late) => return Ok(Err(late)),
        };
        crew.tell(crew.all(), &format!("meet {}", cards.join(" ")))?;
        Ok(crew.hear(crew.all(), "ready", PATIENCE)?.map(|_| crew))
    }

    /// Makes one transfer. When it does not arrive within the limit, the processes are of no more use.
    pub(crate) fn transfer(&mut self, limit: Millis) -> Result<Result<Transfer, Late>> {
        let all = self.all();
        self.number += 1;
        self.tell(all.clone(), &format!("prepare {}", self.number))?;
        self.hear(all.clone(), "ready", PATIENCE)??;
        let (cpu_before, sent_before) = self.count()?;
        self.tell(self.senders..all.end, "go")?;
        self.tell(0..self.senders, "go")?;
        let done = match self.hear(all.clone(), "done", limit)? {
            Ok(done) => done,
            Err(late) => return Ok(Err(late)),
        };
        let (cpu_after, sent_after) = self.count()?;
        self.tell(all.clone(), "check")?;
        self.hear(all, "ok", PATIENCE)??;
        let times = Times::of(&done, self.senders).context("a process did not say when")?;
        Ok(Ok(Transfer {
            ms: times.micros as f64 / 1000.0,
            seal_ms: times.seal_micros.map(|micros| micros as f64 / 1000.0),
            cpu_s: cpu_after - cpu_before,
            sent_bytes: sent_after - sent_before,
        }))
    }

    /// The most memory that one of them has held.
    pub(crate) fn memory_bytes(&self) -> Result<u64> {
        let peaks: Result<Vec<f64>> = self.processes.iter().map(|process| rss_peak_mb(*process)).collect();
        Ok((peaks?.into_iter().fold(0.0, f64::max) * 1e6) as u64)
    }

    fn all(&self) -> Range<usize> {
        0..self.workers.len()
    }

    fn count(&self) -> Result<(f64, u64)> {
        let seconds: Result<f64> = self.processes.iter().map(|process| running_s(*process)).sum();
        Ok((seconds?, self.site.sent_bytes(&self.processes, 0..self.senders)?))
    }

    fn tell(&mut self, whom: Range<usize>, order: &str) -> Result<()> {
        for worker in &mut self.workers[whom] {
            worker.orders.write_all(format!("{order}\n").as_bytes()).context("a process has ended")?;
        }
        Ok(())
    }

    /// The rest of what each of them answers with `word`.
    fn hear(&self, whom: Range<usize>, word: &str, limit: Millis) -> Result<Result<Vec<String>, Late>> {
        let until = now() + limit;
        let mut answers: Vec<Option<String>> = vec![None; whom.len()];
        while answers.iter().any(Option::is_none) {
            let left = Duration::from_micros(until.micros_since(now()));
            let (place, line) = match self.said.recv_timeout(left) {
                Ok((place, Some(line))) => (place, line),
                Ok((place, None)) => bail!("{} has ended", self.name(place)),
                Err(RecvTimeoutError::Timeout) => {
                    let silent = whom.zip(&answers).filter(|(_, answer)| answer.is_none());
                    return Ok(Err(Late(silent.map(|(place, _)| self.name(place)).collect())));
                }
                Err(RecvTimeoutError::Disconnected) => bail!("all processes have ended"),
            };
            let (said, rest) = line.split_once(' ').unwrap_or((&line, ""));
            if said != word {
                bail!("{} said `{line}` and not `{word}`", self.name(place));
            }
            if let Some(answer) = answers.get_mut(place - whom.start) {
                *answer = Some(rest.to_owned());
            }
        }
        Ok(Ok(answers.into_iter().flatten().collect()))
    }

    fn name(&self, place: usize) -> String {
        match place.checked_sub(self.senders) {
            None => format!("sender {place}"),
            Some(receiver) => format!("receiver {receiver}"),
        }
    }
}

/// What the answers to `go` tell together.
#[derive(Debug, PartialEq, Eq)]
struct Times {
    /// From the first start of a sender to the last end of a receiver.
    micros: u64,
    /// From the first start of a sender to the last that had sealed.
    seal_micros: Option<u64>,
}

impl Times {
    fn of(done: &[String], senders: usize) -> Option<Self> {
        let numbers = |said: &String| said.split(' ').map(|number| number.parse().ok()).collect();
        let times = done.iter().map(numbers).collect::<Option<Vec<Vec<u64>>>>()?;
        let (senders, receivers) = times.split_at_checked(senders)?;
        let start = senders.iter().filter_map(|times| times.first()).min()?;
        let end = receivers.iter().filter_map(|times| times.get(1)).max()?;
        let sealed = senders.iter().filter_map(|times| times.get(2)).max();
        Some(Self {
            micros: end.checked_sub(*start)?,
            seal_micros: sealed.and_then(|sealed| sealed.checked_sub(*start)),
        })
    }
}

impl Worker {
    fn start(
        place: usize,
        part: &Part,
        site: &Site,
        program: &Program,
        say: Sender<(usize, Option<String>)>,
    ) -> Result<Self> {
        let mut command = site.command(place, &program.path);
        command.args(&program.args).args(part.to_args()).envs((program.environment)(part));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child =
            command.spawn().with_context(|| format!("cannot start {}", program.path.display()))?;
        let (orders, answers) = (child.stdin.take(), child.stdout.take());
        let (orders, answers) = orders.zip(answers).context("a process without pipes")?;
        std::thread::spawn(move || {
            let lines = BufReader::new(answers).lines().map_while(Result::ok).map(Some);
            for line in lines.chain([None]) {
                if say.send((place, line)).is_err() {
                    break;
                }
            }
        });
        Ok(Self { child, orders })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_lasts_from_the_first_start_to_the_last_end() {
        let done = |times: &[&str]| times.iter().map(|time| (*time).to_owned()).collect::<Vec<_>>();
        let times = |times: &[&str], senders| Times::of(&done(times), senders);
        let plain = Times { micros: 20, seal_micros: None };
        assert_eq!(times(&["10 90", "12 15", "11 20", "11 30"], 2), Some(plain));
        let sealed = Times { micros: 40, seal_micros: Some(5) };
        assert_eq!(times(&["11 90 13", "10 80 15", "11 50"], 2), Some(sealed));
        assert_eq!(times(&["10 90", "x 1"], 1), None);
        assert_eq!(times(&["10 90"], 2), None);
    }
}
