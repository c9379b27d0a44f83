//! One round as it went: every attempt at it, who took part and who did not, and what it did to the model.

use std::collections::BTreeMap;

use common::id::NodeId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::round::{MemberOutcome, MemberRecord, PhaseName, Report, RoundOutcome, RoundRecord};

/// A round, explained.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ExplainedRound {
    /// Which run, by its id.
    pub run: String,
    /// Its name for people.
    pub name: String,
    /// Which round, from 1.
    pub round: u32,
    /// Every attempt at it that has ended, the oldest first.
    pub attempts: Vec<AttemptView>,
    /// Allowed nodes, as they are allowed now, that no attempt selected, in the order of their names.
    pub not_selected: Vec<String>,
    /// How far it moved the model; none when no attempt made one, or a file is missing.
    pub step: Option<StepView>,
    /// Why the step is not known, when a model was made.
    pub step_unknown: Option<String>,
    /// Mean training loss in the round before.
    pub loss_before: Option<f64>,
    /// The same in this round: of nodes that train from the model it started from.
    pub loss: Option<f64>,
    /// The same in the round after: of nodes that train from the model it made.
    pub loss_after: Option<f64>,
}

/// One attempt at a round.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct AttemptView {
    /// Which one, from 1; counted anew after a restart of the coordinator.
    pub attempt: u32,
    /// When it began, in milliseconds since the Unix epoch.
    pub began_ms: f64,
    /// From its begin to its end, in milliseconds.
    pub wall_ms: f64,
    /// The same, by phase.
    pub phase_ms: BTreeMap<String, f64>,
    /// The version of the coordinator.
    pub code: String,
    /// The model it started from, as hex.
    pub parent: String,
    /// The model it made, as hex; none when it was aborted.
    pub model: Option<String>,
    /// Why it was aborted, if it was.
    pub aborted: Option<String>,
    /// Samples behind the updates.
    pub weight: u64,
    /// The selected nodes by name, and what became of each; none when it ended before selection did.
    pub cohort: BTreeMap<String, Participation>,
}

/// What became of a selected node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Participation {
    /// In one word.
    pub outcome: ParticipationOutcome,
    /// In the words of the round, when its update is not in the model.
    pub reason: Option<String>,
    /// Its update, when that is in the sum.
    pub update: Option<UpdateView>,
}

/// What became of a selected node, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ParticipationOutcome {
    /// Its update is in the sum.
    Reported,
    /// Its update was refused.
    Rejected,
    /// It said that it cannot take part.
    Declined,
    /// It left and did not come back in time.
    Gone,
    /// It had the model, but its update did not come in time.
    Straggler,
    /// It never had the model, though it was there.
    Silent,
    /// It still trains: its update is for a later round.
    Training,
}

/// An update that is in the sum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct UpdateView {
    /// Samples it stands for.
    pub weight: u64,
    /// Steps that the node's optimiser took.
    pub steps: u32,
    /// Its mean training loss.
    pub loss: f32,
    /// Euclidean norm of its delta.
    pub norm: f32,
    /// How many rounds ago the model that it began with was the newest.
    pub staleness: u32,
    /// Milliseconds from the announcement until it was in the sum.
    pub after_ms: f64,
}

/// How far a round moved the model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct StepView {
    /// Euclidean norm of the step.
    pub norm: f64,
    /// Euclidean norm of the model that it began at.
    pub model_norm: f64,
    /// The one by the other; none for a model of zeros.
    pub relative: Option<f64>,
}

impl AttemptView {
    /// The phases that it was in, in their order, and the milliseconds of each.
    pub fn phases(&self) -> impl Iterator<Item = (PhaseName, f64)> {
        let of = |phase: PhaseName| Some((phase, *self.phase_ms.get(&phase.to_string())?));
        PhaseName::ALL.into_iter().filter_map(of)
    }

    /// A record as people read it, with these names for its nodes.
    pub fn of(record: &RoundRecord, name: impl Fn(NodeId) -> String) -> Self {
        let (model, aborted) = match &record.outcome {
            RoundOutcome::Committed(made) => (Some(made.model.to_string()), None),
            RoundOutcome::Aborted(why) => (None, Some(why.to_string())),
        };
        let phase_ms = super::phase_ms(record);
        let participation = |member: &MemberRecord| (name(member.node), Participation::of(member, record));
        Self {
            attempt: record.attempt,
            began_ms: super::millis(record.phases.first().map_or(record.closed.0, |began| began.at.0)),
            wall_ms: phase_ms.values().sum(),
            phase_ms,
            code: record.code.to_string(),
            parent: record.model.to_string(),
            model,
            aborted,
            weight: record.weight_total(),
            cohort: record.members.iter().map(participation).collect(),
        }
    }
}

impl Participation {
    fn of(member: &MemberRecord, record: &RoundRecord) -> Self {
        use ParticipationOutcome::{Declined, Gone, Rejected, Reported, Silent, Straggler, Training};
        let (outcome, update) = match &member.outcome {
            MemberOutcome::Reported(report) => {
                let after_ms = super::millis(report.at.micros_since(super::announced(record)));
                let Report { weight, steps, loss, delta_norm: norm, base, .. } = *report;
                let staleness = base.staleness(record.round);
                (Reported, Some(UpdateView { weight, steps, loss, norm, staleness, after_ms }))
            }
            MemberOutcome::Rejected(_) => (Rejected, None),
            MemberOutcome::Declined => (Declined, None),
            MemberOutcome::Gone => (Gone, None),
            MemberOutcome::Straggler => (Straggler, None),
            MemberOutcome::Silent => (Silent, None),
            MemberOutcome::Training => (Training, None),
        };
        let reason = update.is_none().then(|| member.outcome.to_string());
        Self { outcome, reason, update }
    }
}

impl StepView {
    /// A step of this norm, from a model of that norm.
    pub fn new(norm: f64, model_norm: f64) -> Self {
        Self { norm, model_norm, relative: (model_norm > 0.0).then(|| norm / model_norm) }
    }
}

#[cfg(test)]
mod tests {
    use common::id::{EpochId, ModelHash, RoundId, RunId};
    use common::message::event::reason;
    use common::units::Timestamp;

    use super::*;
    use crate::round::{Base, PhaseBegan};

    #[test]
    fn an_attempt_tells_of_each_selected_node_what_became_of_it() {
        let base = Base { epoch: EpochId(1), round: RoundId(1) };
        let report = Report { weight: 100, steps: 7, loss: 0.5, delta_norm: 1.5, base, at: Timestamp(9_000) };
        let outcomes = [MemberOutcome::Reported(report), MemberOutcome::Rejected(reason("value 3 is NaN"))];
        let members = (1..).zip(outcomes);
        let members = members.map(|(id, outcome)| MemberRecord { node: NodeId([id; 32]), outcome });
        let phases = [(PhaseName::Selection, 2_000), (PhaseName::Configuration, 4_000)];
        let phases = phases.map(|(phase, at)| PhaseBegan { phase, at: Timestamp(at) });
        let record = RoundRecord {
            run: RunId([1; 16]),
            round: RoundId(1),
            epoch: EpochId(1),
            attempt: 2,
            model: ModelHash([0; 32]),
            candidates: 2,
            phases: phases.to_vec().try_into().unwrap(),
            closed: Timestamp(10_000),
            members: members.collect::<Vec<_>>().try_into().unwrap(),
            outcome: RoundOutcome::Aborted(reason("too few")),
            code: "0.1.0".try_into().unwrap(),
        };
        let attempt = AttemptView::of(&record, |node| format!("node-{}", node.0[0]));
        assert_eq!((attempt.aborted.as_deref(), attempt.model.as_deref()), (Some("too few"), None));
        assert_eq!(format!("{:?}", attempt.phase_ms), r#"{"configuration": 6.0, "selection": 2.0}"#);
        let (one, two) = (&attempt.cohort["node-1"], &attempt.cohort["node-2"]);
        let update = one.update.as_ref().unwrap();
        assert_eq!((update.weight, format!("{:.1}", update.after_ms)), (100, "5.0".to_owned()));
        assert_eq!(two.outcome, ParticipationOutcome::Rejected);
        assert_eq!(two.reason.as_deref(), Some("rejected: value 3 is NaN"));
    }
}
