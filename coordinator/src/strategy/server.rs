//! The server's step: from the round's model and the combined delta to the next model.
//!
//! `Δ` is what the updates were combined to. [`Server::Sgd`] with a learning rate of 1 adds it to the model, which is
//! federated averaging (McMahan et al. 2017, algorithm 1). The others take `Δ` for a gradient: momentum as in Hsu, Qi
//! and Brown 2019, section 4.3 (FedAvgM); Adagrad, Adam and Yogi as in Reddi et al. 2021, algorithm 2 (FedAdagrad,
//! FedAdam, FedYogi), without bias correction, as there.
//!
//! Each value is computed in binary64 with operations that IEEE 754 rounds correctly, and rounded once for each of
//! model and moments: the same bits on every machine.

/// How the server steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Server {
    /// `w ← w + η Δ`
    Sgd {
        /// `η`
        learning_rate: f64,
    },
    /// `v ← β v + Δ`, `w ← w + η v`
    Momentum {
        /// `η`
        learning_rate: f64,
        /// `β`
        momentum: f64,
    },
    /// `m ← β₁ m + (1 - β₁) Δ`, then `v` by the rule, then `w ← w + η m / (√v + τ)`
    Adaptive {
        /// What becomes of `v`.
        rule: SecondMoment,
        /// `η`
        learning_rate: f64,
        /// `β₁`
        beta_1: f64,
        /// `τ`: how far the step adapts; `v` begins with its square.
        tau: f64,
    },
}

/// How the mean of the squared deltas goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SecondMoment {
    /// `v ← v + Δ²`
    Adagrad,
    /// `v ← β₂ v + (1 - β₂) Δ²`
    Adam {
        /// `β₂`
        beta_2: f64,
    },
    /// `v ← v - (1 - β₂) Δ² sign(v - Δ²)`
    Yogi {
        /// `β₂`
        beta_2: f64,
    },
}

/// What a server remembers from round to round, each vector as long as the model: nothing for [`Server::Sgd`], `v` for
/// [`Server::Momentum`], `m` and `v` for [`Server::Adaptive`]; its control variate where nodes keep one.
pub type Moments = Vec<Vec<f32>>;

/// The most vectors that a server remembers.
pub const MOMENTS_MAX: usize = 2;

impl Server {
    /// Vectors that it remembers.
    pub fn remembers(&self) -> usize {
        match self {
            Self::Sgd { .. } => 0,
            Self::Momentum { .. } => 1,
            Self::Adaptive { .. } => 2,
        }
    }

    /// What it remembers before the first round.
    fn first_moments(&self, parameters: usize) -> Moments {
        match *self {
            Self::Sgd { .. } => Vec::new(),
            Self::Momentum { .. } => vec![vec![0.0; parameters]],
            Self::Adaptive { tau, .. } => vec![vec![0.0; parameters], vec![(tau * tau) as f32; parameters]],
        }
    }

    /// Moves `model` by the combined deltas, which come in the order of its values. Before the first round there are
    /// no moments.
    ///
    /// # Panics
    ///
    /// When the moments are of another server, or another model.
    pub fn step(&self, model: &mut [f32], deltas: impl Iterator<Item = f64>, moments: &mut Moments) {
        if moments.is_empty() {
            *moments = self.first_moments(model.len());
        }
        assert!(
            moments.len() == self.remembers() && moments.iter().all(|vector| vector.len() == model.len()),
            "the moments are this server's, for this model"
        );
        let add = |value: &mut f32, step: f64| *value = (f64::from(*value) + step) as f32;
        match (*self, moments.as_mut_slice()) {
            (Self::Sgd { learning_rate }, _) => {
                model.iter_mut().zip(deltas).for_each(|(value, delta)| add(value, learning_rate * delta));
            }
            (Self::Momentum { learning_rate, momentum }, [first]) => {
                for ((value, delta), first) in model.iter_mut().zip(deltas).zip(first) {
                    let moved = momentum * f64::from(*first) + delta;
                    *first = moved as f32;
                    add(value, learning_rate * moved);
                }
            }
            (Self::Adaptive { rule, learning_rate, beta_1, tau }, [first, second]) => {
                let kept = first.iter_mut().zip(second);
                for ((value, delta), (first, second)) in model.iter_mut().zip(deltas).zip(kept) {
                    let m = beta_1 * f64::from(*first) + (1.0 - beta_1) * delta;
                    let v = rule.next(f64::from(*second), delta * delta);
                    (*first, *second) = (m as f32, v as f32);
                    add(value, learning_rate * m / (v.sqrt() + tau));
                }
            }
            (Self::Momentum { .. } | Self::Adaptive { .. }, _) => unreachable!("as many as it remembers"),
        }
    }
}

impl SecondMoment {
    fn next(self, v: f64, square: f64) -> f64 {
        match self {
            Self::Adagrad => v + square,
            Self::Adam { beta_2 } => beta_2 * v + (1.0 - beta_2) * square,
            Self::Yogi { beta_2 } => {
                let sign = if v > square {
                    1.0
                } else if v < square {
                    -1.0
                } else {
                    0.0
                };
                v - (1.0 - beta_2) * square * sign
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two rounds of two parameters, with `Δ` (0.5, -0.25) and then (0.25, 0.5).
    fn two_rounds(server: Server) -> ([f32; 2], Moments) {
        let mut model = [1.0, 2.0];
        let mut moments = Moments::new();
        for deltas in [[0.5, -0.25], [0.25, 0.5]] {
            server.step(&mut model, deltas.into_iter(), &mut moments);
        }
        (model, moments)
    }

    fn near(found: &[f32], expected: &[f64]) {
        let is_near = |(found, expected): (&f32, &f64)| (f64::from(*found) - expected).abs() < 2e-7;
        assert!(found.iter().zip(expected).all(is_near), "{found:?} {expected:?}");
        assert_eq!(found.len(), expected.len());
    }

    const RATE: f64 = 0.1;

    fn adaptive(rule: SecondMoment) -> Server {
        Server::Adaptive { rule, learning_rate: RATE, beta_1: 0.9, tau: 0.01 }
    }

    #[test]
    fn a_step_of_one_adds_the_mean() {
        let (model, moments) = two_rounds(Server::Sgd { learning_rate: 1.0 });
        assert_eq!((model, moments), ([1.75, 2.25], Moments::new()));
        near(&two_rounds(Server::Sgd { learning_rate: 0.5 }).0, &[1.375, 2.125]);
    }

    #[test]
    fn momentum_is_the_rule_of_hsu() {
        // v: (0.5, -0.25), then 0.9 v + Δ = (0.7, 0.275).
        let (model, moments) = two_rounds(Server::Momentum { learning_rate: RATE, momentum: 0.9 });
        near(&moments[0], &[0.7, 0.275]);
        near(&model, &[1.0 + 0.05 + 0.07, 2.0 - 0.025 + 0.0275]);
    }

    #[test]
    fn adagrad_adam_and_yogi_are_the_rules_of_reddi() {
        // m: (0.05, -0.025), then (0.045 + 0.025, -0.0225 + 0.05).
        let first = [[0.05, -0.025], [0.07, 0.0275]];
        let expected = |second: [[f64; 2]; 2]| -> [f64; 2] {
            [0, 1].map(|place| {
                let step = |round: usize| RATE * first[round][place] / (second[round][place].sqrt() + 0.01);
                [1.0, 2.0][place] + step(0) + step(1)
            })
        };
        let squares = [[0.25, 0.0625], [0.0625, 0.25]];
        let sum = [0, 1].map(|place| 1e-4 + squares[0][place]);
        let adagrad = [sum, [0, 1].map(|place| sum[place] + squares[1][place])];
        let (model, moments) = two_rounds(adaptive(SecondMoment::Adagrad));
        near(&moments[0], &first[1]);
        near(&moments[1], &adagrad[1]);
        near(&model, &expected(adagrad));

        let mean = [0, 1].map(|place| 0.99 * 1e-4 + 0.01 * squares[0][place]);
        let adam = [mean, [0, 1].map(|place| 0.99 * mean[place] + 0.01 * squares[1][place])];
        let (model, moments) = two_rounds(adaptive(SecondMoment::Adam { beta_2: 0.99 }));
        near(&moments[1], &adam[1]);
        near(&model, &expected(adam));

        // v is below both squares in both rounds: it grows by a hundredth of them.
        let grown = [0, 1].map(|place| 1e-4 + 0.01 * squares[0][place]);
        let yogi = [grown, [0, 1].map(|place| grown[place] + 0.01 * squares[1][place])];
        let (model, moments) = two_rounds(adaptive(SecondMoment::Yogi { beta_2: 0.99 }));
        near(&moments[1], &yogi[1]);
        near(&model, &expected(yogi));
        // And shrinks by as much when it is above.
        near(&[SecondMoment::Yogi { beta_2: 0.99 }.next(1.0, 0.25) as f32], &[1.0 - 0.0025]);
    }

    #[test]
    #[should_panic(expected = "the moments are this server's")]
    fn moments_of_another_server_are_a_bug() {
        let mut moments = vec![vec![0.0]];
        adaptive(SecondMoment::Adagrad).step(&mut [0.0], std::iter::once(1.0), &mut moments);
    }
}
