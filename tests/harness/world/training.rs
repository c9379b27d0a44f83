//! The trainers of the nodes: what they make of a model is told from their numbers.

use std::sync::Arc;

use common::model::ParameterVector;
use common::units::Millis;
use node::participant::control::{self, ControlLost};
use node::participant::{Assignment, ControlChange, Trained};

use super::network::Arrival;
use super::scene::number;
use super::{World, witness};

impl World {
    /// Training takes ten milliseconds and moves every parameter by the node's step.
    pub(super) fn train(&mut self, index: usize, assignment: &Assignment) {
        // So that no run makes the models of another.
        let step = self.steps[index] * f32::from(1 + number(assignment.run))
            + self.scene.drift * (assignment.epoch.0 % 61) as f32;
        let (samples, steps) = (index as u64 + 1, 1);
        let node = self.nodes[index].node();
        let mut parameters: ParameterVector = Arc::unwrap_or_clone(Arc::clone(&assignment.model));
        let control = match self.control(index, assignment, step) {
            Ok(control) => control,
            Err(lost) => {
                let why = lost.to_string();
                let declined = (assignment.run, assignment.epoch);
                return self.node(index, |node, now, out| node.on_declined(declined, &why, now, out));
            }
        };
        // All parameters are alike, and so are all values of a control variate. A step is one of size 1.
        let correction = control.as_ref().map_or(0.0, |(correction, _)| *correction);
        let step = step - correction;
        let control = control.map(|(_, change)| change);
        let controls = assignment.control.as_ref().zip(control.as_ref()).map(|(server, change)| {
            witness::Controls { server: server.values[0], from: change.from[0], to: change.to[0] }
        });
        let made = witness::Contribution { step, samples, steps, controls };
        self.witness.on_train(node, assignment, made);
        parameters.values_mut().iter_mut().for_each(|value| *value += step);
        if self.hanging.contains(&index) {
            self.stepped[index] = self.now + Millis(1);
            return;
        }
        let Assignment { run, epoch, .. } = *assignment;
        let trained = Trained { run, epoch, parameters, samples, steps, loss: 0.5, control };
        self.at(self.now + Millis(10), Arrival::Trained(index, self.lives[index], trained));
    }

    /// The correction of each gradient, and what becomes of the node's control variate, which its disk has before the
    /// update leaves it.
    fn control(
        &mut self,
        index: usize,
        assignment: &Assignment,
        step: f32,
    ) -> Result<Option<(f32, ControlChange)>, ControlLost> {
        let Some(server) = &assignment.control else { return Ok(None) };
        let held = self.held[index].entry(assignment.run).or_default();
        let from = held.own(server.folded, server.values.len())?;
        let correction = control::correction(&server.values, &from)[0];
        let model = assignment.model.values();
        let to: Vec<f32> = model.iter().map(|value| value + (step - correction)).collect();
        let to = control::next(&server.values, &from, (model, &to), 1, assignment.plan.learning_rate);
        held.keep(server.folded, (assignment.epoch, to.clone()));
        Ok(Some((correction, ControlChange { from, to })))
    }
}
