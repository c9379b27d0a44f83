//! The state, and what is left of it when power fails between any two of its writes.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use common::crypto::TenantKey;
use common::crypto::bulk::InputKey;
use common::id::TenantId;
use common::id::{EpochId, ModelHash, NodeId};
use common::message::event::reason;
use common::units::Timestamp;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::round::{
    Base, Checkpoint, EPOCHS_AHEAD, MemberOutcome, MemberRecord, PhaseBegan, PhaseName, Report, RoundOutcome,
    RoundRecord,
};

const RUN: RunId = RunId([1; 16]);

fn hash(byte: u8) -> ModelHash {
    ModelHash([byte; 32])
}

fn new_run() -> NewRun {
    NewRun {
        run: RUN,
        name: "first".try_into().unwrap(),
        config: "seed = 1\n".into(),
        rounds: 2,
        model: hash(0),
        created: Timestamp(5),
        key: None,
    }
}

fn record(round: u32, epoch: u64, outcome: RoundOutcome) -> RoundRecord {
    let base = Base { epoch: EpochId(epoch), round: RoundId(round) };
    let report = Report { weight: 100, steps: 7, loss: 0.5, delta_norm: 1.5, base, at: Timestamp(8) };
    let members = vec![
        MemberRecord { node: NodeId([1; 32]), outcome: MemberOutcome::Reported(report) },
        MemberRecord { node: NodeId([2; 32]), outcome: MemberOutcome::Rejected(reason("value 3 is NaN")) },
        MemberRecord { node: NodeId([3; 32]), outcome: MemberOutcome::Straggler },
    ];
    RoundRecord {
        run: RUN,
        round: RoundId(round),
        epoch: EpochId(epoch),
        attempt: 1,
        model: hash(round as u8 - 1),
        candidates: 4,
        phases: vec![PhaseBegan { phase: PhaseName::Selection, at: Timestamp(6) }].try_into().unwrap(),
        closed: Timestamp(9),
        members: members.try_into().unwrap(),
        outcome,
        code: "0.1.0".try_into().unwrap(),
    }
}

fn committed(round: u32, epoch: u64) -> RoundRecord {
    record(round, epoch, RoundOutcome::Committed(made(round as u8)))
}

/// A model, and what an adaptive server remembers.
fn made(round: u8) -> Checkpoint {
    let moments = vec![hash(100 + round), hash(200 + round)];
    Checkpoint { model: hash(round), moments: moments.try_into().unwrap() }
}

fn end_after(epoch: u64) -> EpochId {
    EpochId(epoch + 1 + EPOCHS_AHEAD)
}

/// The key of every store of the tests.
pub(crate) fn vault() -> Arc<Vault> {
    let key = TenantKey::new(TenantId::of_name("a"), InputKey([7; 32]));
    Arc::new(Vault::new(key, ChaCha20Rng::seed_from_u64(7)))
}

fn open(dir: &tempfile::TempDir) -> Store {
    Store::open(dir.path(), vault()).unwrap()
}

#[test]
fn a_run_is_read_back_after_a_restart_with_epochs_that_were_never_announced() {
    let dir = tempfile::tempdir().unwrap();
    let begun = open(&dir).state().create_run(new_run()).unwrap();
    assert_eq!(
        (begun.rounds_done, begun.checkpoint, begun.epochs.next),
        (RoundId(0), hash(0).into(), EpochId(1))
    );

    let aborted = record(1, 1, RoundOutcome::Aborted(reason("too few nodes")));
    {
        let store = open(&dir);
        store.state().keep_aborted(&aborted).unwrap();
        store.state().commit(&committed(1, 2), end_after(2)).unwrap();
    }
    let store = open(&dir);
    let resumed = store.state().resume_run(RUN).unwrap();
    assert_eq!(
        (resumed.rounds_done, resumed.checkpoint, resumed.epochs.next),
        (RoundId(1), made(1), end_after(2))
    );
    assert_eq!(resumed.epochs.end.0, resumed.epochs.next.0 + EPOCHS_AHEAD);
    assert_eq!(store.state().rounds(RUN).unwrap(), [aborted, committed(1, 2)]);
    assert_eq!(store.state().config(RUN).unwrap(), "seed = 1\n");
}

#[test]
fn no_two_runs_share_an_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let other = RunId([2; 16]);
    let first = store.state().create_run(new_run()).unwrap().epochs;
    let second = store.state().create_run(NewRun { run: other, ..new_run() }).unwrap().epochs;
    let again = store.state().resume_run(RUN).unwrap().epochs;
    let once_more = store.state().resume_run(other).unwrap().epochs;
    for (earlier, later) in [(first, second), (second, again), (again, once_more)] {
        assert!(earlier.end <= later.next && later.next < later.end);
    }
}

#[test]
fn a_run_is_found_by_the_key_of_its_start_after_a_restart_too() {
    let dir = tempfile::tempdir().unwrap();
    let key = |text: &str| StartKey::try_from(text).unwrap();
    {
        let store = open(&dir);
        assert_eq!(store.state().started(&key("a")).unwrap(), None);
        store.state().create_run(NewRun { key: Some(key("a")), ..new_run() }).unwrap();
    }
    let store = open(&dir);
    assert_eq!(store.state().started(&key("a")).unwrap(), Some(RUN));
    assert_eq!(store.state().started(&key("b")).unwrap(), None);
    // A run that is not stored has no key either.
    let again = store.state().create_run(NewRun { key: Some(key("b")), ..new_run() });
    assert!(matches!(again, Err(StoreError::RunExists(RUN))));
    assert_eq!(store.state().started(&key("b")).unwrap(), None);
}

#[test]
fn a_drained_node_is_one_after_a_restart_too_until_it_is_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let [one, other] = [NodeId([1; 32]), NodeId([2; 32])];
    let store = open(&dir);
    assert!(store.state().drained().unwrap().is_empty());
    for (node, drained) in [(one, true), (other, true), (other, true), (one, false)] {
        store.state().drain(node, drained).unwrap();
    }
    drop(store);
    assert_eq!(open(&dir).state().drained().unwrap(), [other].into());
}

#[test]
fn the_last_round_finishes_the_run_in_the_same_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    store.state().create_run(new_run()).unwrap();
    store.state().commit(&committed(1, 1), end_after(1)).unwrap();
    assert_eq!(store.state().runs().unwrap()[0].status, RunStatus::Running);
    store.state().commit(&committed(2, 2), end_after(2)).unwrap();
    assert_eq!(store.state().runs().unwrap()[0].status, RunStatus::Finished);
}

#[test]
fn no_round_is_committed_twice_or_out_of_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let state = store.state();
    assert!(matches!(state.commit(&committed(1, 1), end_after(1)), Err(StoreError::UnknownRun(RUN))));
    state.create_run(new_run()).unwrap();
    assert!(matches!(state.create_run(new_run()), Err(StoreError::RunExists(RUN))));
    state.commit(&committed(1, 1), end_after(1)).unwrap();

    let mut other_model = committed(2, 2);
    other_model.model = hash(9);
    let aborted = record(2, 2, RoundOutcome::Aborted(reason("no")));
    for wrong in [committed(1, 1), committed(1, 2), committed(3, 2), other_model, aborted] {
        assert!(matches!(state.commit(&wrong, end_after(2)), Err(StoreError::OutOfOrder { .. })));
    }
    assert_eq!(state.rounds(RUN).unwrap(), [committed(1, 1)]);

    state.fail_run(RUN, "three attempts").unwrap();
    assert_eq!(state.runs().unwrap()[0].status, RunStatus::Failed(reason("three attempts")));
    assert!(matches!(state.commit(&committed(2, 2), end_after(2)), Err(StoreError::OutOfOrder { .. })));
}

#[test]
fn a_paused_run_stays_so_until_it_is_resumed_and_a_stopped_one_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let state = store.state();
    state.create_run(new_run()).unwrap();
    let wrong = state.turn_run(RUN, &Turn::Resume).unwrap_err().to_string();
    assert_eq!(wrong, format!("run {RUN} is going on; only one that is paused can be resumed"));
    state.turn_run(RUN, &Turn::Pause).unwrap();
    assert!(matches!(state.turn_run(RUN, &Turn::Pause), Err(StoreError::OtherStatus { .. })));
    assert!(matches!(state.commit(&committed(1, 1), end_after(1)), Err(StoreError::OutOfOrder { .. })));
    drop(store);
    let store = open(&dir);
    let state = store.state();
    assert_eq!(state.runs().unwrap()[0].status, RunStatus::Paused);
    state.turn_run(RUN, &Turn::Resume).unwrap();
    state.commit(&committed(1, 1), end_after(1)).unwrap();
    state.turn_run(RUN, &Turn::Pause).unwrap();
    state.turn_run(RUN, &Turn::Stop(reason("stopped"))).unwrap();
    assert_eq!(state.runs().unwrap()[0].status, RunStatus::Failed(reason("stopped")));
    for change in [
        state.turn_run(RUN, &Turn::Stop(reason("again"))),
        state.turn_run(RUN, &Turn::Resume),
        state.turn_run(RUN, &Turn::Pause),
    ] {
        assert!(matches!(change, Err(StoreError::OtherStatus { .. })));
    }
}

#[test]
fn an_extended_run_has_more_rounds_and_one_that_is_finished_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let state = store.state();
    state.create_run(new_run()).unwrap();
    let extend = || {
        state.turn_run(RUN, &Turn::Extend(NonZeroU32::MIN)).map(|entry| (entry.status, entry.rounds)).unwrap()
    };
    assert_eq!(extend(), (RunStatus::Running, 3));
    state.turn_run(RUN, &Turn::Pause).unwrap();
    assert_eq!(extend(), (RunStatus::Paused, 4));
    state.turn_run(RUN, &Turn::Resume).unwrap();
    for round in 1..=4 {
        state.commit(&committed(round, u64::from(round)), end_after(u64::from(round))).unwrap();
    }
    assert_eq!(state.runs().unwrap()[0].status, RunStatus::Finished);
    assert_eq!(extend(), (RunStatus::Running, 5));
    state.commit(&committed(5, 5), end_after(5)).unwrap();
    assert_eq!(state.runs().unwrap()[0].status, RunStatus::Finished);
}

#[test]
fn two_processes_cannot_open_one_store_and_a_file_of_something_else_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    assert!(matches!(Store::open(dir.path(), vault()), Err(StoreError::InUse(_))));
    drop(store);
    std::fs::write(dir.path().join("state.redb"), "not a database").unwrap();
    let error = Store::open(dir.path(), vault()).unwrap_err().to_string();
    assert!(error.contains("state.redb"), "{error}");
}

/// What a disk was told, in order.
#[derive(Clone, Debug)]
enum Operation {
    SetLen(u64),
    Write(u64, Vec<u8>),
    Sync,
}

/// A disk in memory that remembers what it was told.
#[derive(Clone, Debug, Default)]
struct Disk {
    bytes: Arc<Mutex<Vec<u8>>>,
    operations: Arc<Mutex<Vec<Operation>>>,
}

impl Disk {
    fn do_and_note(&self, operation: Operation) {
        operation.apply(&mut self.bytes.lock().unwrap());
        self.operations.lock().unwrap().push(operation);
    }

    fn noted(&self) -> Vec<Operation> {
        self.operations.lock().unwrap().clone()
    }
}

impl Operation {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::SetLen(length) => bytes.resize(*length as usize, 0),
            Self::Write(offset, data) => {
                let offset = *offset as usize;
                bytes[offset..offset + data.len()].copy_from_slice(data);
            }
            Self::Sync => (),
        }
    }
}

impl redb::StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let offset = offset as usize;
        let bytes = self.bytes.lock().unwrap();
        let wanted = bytes.get(offset..offset + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(wanted);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.do_and_note(Operation::SetLen(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.do_and_note(Operation::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.do_and_note(Operation::Write(offset, data.to_vec()));
        Ok(())
    }
}

/// The disk after power failed: all operations before the last sync, and of those after it the
/// ones that `survives` says, as a disk may order them as it likes.
fn after_power_failure(operations: &[Operation], survives: impl Fn(usize) -> bool) -> Disk {
    let synced = operations.iter().rposition(|operation| matches!(operation, Operation::Sync)).unwrap_or(0);
    let mut bytes = Vec::new();
    for (index, operation) in operations.iter().enumerate() {
        // A file's new length is metadata that the journal keeps in order.
        if index <= synced || matches!(operation, Operation::SetLen(_)) || survives(index) {
            operation.apply(&mut bytes);
        }
    }
    Disk { bytes: Arc::new(Mutex::new(bytes)), ..Disk::default() }
}

fn seen(disk: Disk) -> (Vec<RunEntry>, Vec<RoundRecord>) {
    let state = State::on(disk, vault()).unwrap();
    (state.runs().unwrap(), state.rounds(RUN).unwrap())
}

#[test]
fn power_that_fails_between_any_two_writes_leaves_the_state_before_or_after_a_commit() {
    let disk = Disk::default();
    let state = State::on(disk.clone(), vault()).unwrap();
    state.create_run(new_run()).unwrap();
    let before = (state.runs().unwrap(), state.rounds(RUN).unwrap());
    let begun = disk.noted().len();
    state.commit(&committed(1, 1), end_after(1)).unwrap();
    let after = (state.runs().unwrap(), state.rounds(RUN).unwrap());
    let operations = disk.noted();
    assert_ne!(before, after);

    let mut seen_before = 0;
    for cut in begun..=operations.len() {
        // All, none, and a few mixtures of the writes that were not synced.
        for mixture in 0..8_usize {
            let survives = |index: usize| match mixture {
                0 => true,
                1 => false,
                _ => (index * 7).is_multiple_of(mixture),
            };
            let found = seen(after_power_failure(&operations[..cut], survives));
            assert!(found == before || found == after, "cut {cut}, mixture {mixture}");
            seen_before += u32::from(found == before);
        }
    }
    assert!(seen_before > 0);
    // What commit returned for is there, whatever else is lost.
    assert_eq!(seen(after_power_failure(&operations, |_| false)), after);
}

#[test]
fn a_commit_is_one_sync_of_the_state() {
    let disk = Disk::default();
    let state = State::on(disk.clone(), vault()).unwrap();
    state.create_run(new_run()).unwrap();
    let begun = disk.noted().len();
    state.commit(&committed(1, 1), end_after(1)).unwrap();
    let syncs = disk.noted()[begun..].iter().filter(|operation| matches!(operation, Operation::Sync)).count();
    assert_eq!(syncs, 1);
}
