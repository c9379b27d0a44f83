use common::model::{Forecaster, Network, Task};
use pipeline::Windows;
use proptest::prelude::*;

use super::super::samples::{classifier, corners, forecaster, go_on, swinging, table};
use super::super::{mean_loss, predict, quality};
use super::*;

fn start(task: &Forecaster, seed: u64) -> ParameterVector {
    Task::Forecaster(task.clone()).initial(seed).unwrap()
}

#[test]
fn training_learns_a_swing_that_can_be_foreseen() {
    let task = forecaster(&["x", "y"], 4, &[16]);
    let windows = swinging(400, 4);
    let first = start(&task, 1);
    let settings = Training { epochs: 30, ..Training::default() };
    let trained = train(&task, &first, &windows, &settings, &mut go_on).unwrap();
    assert_eq!(trained.samples, 396);
    let before = mean_loss(&task, &first, &windows).unwrap();
    let after = mean_loss(&task, &trained.parameters, &windows).unwrap();
    assert!(after < before / 20.0, "loss went from {before} to {after}");
    let forecasts = predict(&task, &trained.parameters, &windows).unwrap();
    assert_eq!(forecasts.len(), 396 * 2);
}

#[test]
fn every_network_learns_the_swing_and_the_same_seed_gives_the_same_bits() {
    for (network, hidden) in
        [(Network::Lstm, &[8][..]), (Network::Lstm, &[6, 6]), (Network::Convolution, &[12])]
    {
        let task = Forecaster { network, ..forecaster(&["x", "y"], 6, hidden) };
        let (first, windows) = (start(&task, 1), swinging(400, 6));
        let settings = Training { epochs: 60, learning_rate: 1e-2, ..Training::default() };
        let trained = train(&task, &first, &windows, &settings, &mut go_on).unwrap();
        let loss = |parameters| mean_loss(&task, parameters, &windows).unwrap();
        let (before, after) = (loss(&first), loss(&trained.parameters));
        assert!(after < before / 20.0, "{network:?} {hidden:?}: loss went from {before} to {after}");
        let again = train(&task, &first, &windows, &settings, &mut go_on).unwrap();
        assert_eq!(again, trained, "{network:?}");
    }
}

#[test]
fn training_learns_classes_that_can_be_told_apart() {
    let task = classifier(2, 3, &[8]);
    let (examples, unseen) = (corners(300), corners(999));
    let first = Task::Classifier(task.clone()).initial(1).unwrap();
    for optimizer in [Optimizer::Sgd, Optimizer::Adam] {
        let settings =
            Training { epochs: 20, batch: 10, optimizer, learning_rate: 0.05, ..Training::default() };
        let trained = train(&task, &first, &examples, &settings, &mut go_on).unwrap();
        assert_eq!((trained.samples, trained.steps), (300, 600));
        let (before, after) = (quality(&task, &first, &unseen), quality(&task, &trained.parameters, &unseen));
        let (before, after) = (before.unwrap(), after.unwrap());
        assert!(before.accuracy < 0.7 && after.accuracy > 0.99, "{before:?} {after:?}");
        assert!(after.loss < 0.1, "{before:?} {after:?}");
    }
}

#[test]
fn one_step_of_a_classifier_moves_the_scores_by_what_their_probabilities_lack() {
    // Without a hidden layer and with all scores 0 each of three classes has a probability of a third: the gradient of a
    // bias is that, less 1 for the class of the example; of a weight it is that times the input.
    let task = classifier(2, 3, &[]);
    let first = ParameterVector::zeros(Arc::new(Task::Classifier(task.clone()).schema().unwrap()));
    let optimizer = Optimizer::Sgd;
    let settings = Training { optimizer, learning_rate: 3.0, ..Training::default() };
    let examples = corners(1);
    let trained = train(&task, &first, &examples, &settings, &mut go_on).unwrap();
    assert!((trained.loss - 3_f32.ln()).abs() < 1e-6, "{}", trained.loss);
    let (x, y) = (examples.input(0)[0], examples.input(0)[1]);
    let expected = [2.0 * x, -x, -x, 2.0 * y, -y, -y, 2.0, -1.0, -1.0];
    for (value, expected) in trained.parameters.values().iter().zip(expected) {
        assert!((value - expected).abs() < 1e-5, "{:?}", trained.parameters.values());
    }
}

#[test]
fn the_quality_of_a_classifier_counts_the_likeliest_class_and_the_first_of_equals() {
    let task = classifier(2, 3, &[]);
    let zeros = ParameterVector::zeros(Arc::new(Task::Classifier(task.clone()).schema().unwrap()));
    let quality = |examples| quality(&task, &zeros, &examples);
    let of_zeros = quality(corners(5)).unwrap();
    assert!((of_zeros.accuracy - 0.4).abs() < 1e-9 && (of_zeros.loss - 3_f64.ln()).abs() < 1e-6);
    assert_eq!(quality(corners(0)), Err(LearnError::NoExamples));
    let other = classifier(2, 4, &[]);
    let zeros = ParameterVector::zeros(Arc::new(Task::Classifier(other.clone()).schema().unwrap()));
    let error = mean_loss(&other, &zeros, &corners(3)).unwrap_err();
    assert_eq!(error, LearnError::OtherExamples { inputs: 2, classes: 3 });
}

#[test]
fn one_step_of_adam_moves_every_parameter_by_the_learning_rate_against_its_gradient() {
    // Output 1 x w + b, target 0: with x = 1, w = 2, b = 1 both gradients are 6, and Adam's first
    // step is the learning rate times the sign.
    let task = forecaster(&["x"], 1, &[]);
    let mut first = start(&task, 0);
    first.values_mut().copy_from_slice(&[2.0, 1.0]);
    let table = table(1, &[1.0, 0.0]);
    let windows = pipeline::window(table, &pipeline::Window { past_steps: 1, stride: 1, gap_steps: 3 });
    let settings = Training { learning_rate: 0.5, ..Training::default() };
    let trained = train(&task, &first, &windows, &settings, &mut go_on).unwrap();
    assert!((trained.loss - 9.0).abs() < 1e-5);
    for (value, expected) in trained.parameters.values().iter().zip([1.5, 0.5]) {
        assert!((value - expected).abs() < 1e-5, "{value}");
    }
}

#[test]
fn gradient_descent_steps_along_the_gradient_and_the_proximal_term_pulls_back() {
    // As above, both gradients are 6, 2 (w + b); each of the two epochs is one step. The second one is at (1.4, 0.4) with
    // gradients of 2 x 1.8 = 3.6, to which the term adds 0.5 x -0.6.
    let task = forecaster(&["x"], 1, &[]);
    let mut first = start(&task, 0);
    first.values_mut().copy_from_slice(&[2.0, 1.0]);
    let table = table(1, &[1.0, 0.0]);
    let windows = pipeline::window(table, &pipeline::Window { past_steps: 1, stride: 1, gap_steps: 3 });
    for (proximal, moved) in [(0.0, 0.6 + 0.36), (0.5, 0.6 + 0.33)] {
        let optimizer = Optimizer::Sgd;
        let settings = Training { epochs: 2, optimizer, learning_rate: 0.1, proximal, ..Training::default() };
        let trained = train(&task, &first, &windows, &settings, &mut go_on).unwrap();
        assert_eq!(trained.steps, 2);
        for (value, from) in trained.parameters.values().iter().zip([2.0, 1.0]) {
            assert!((value - (from - moved)).abs() < 1e-5, "{value}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bits_and_another_seed_or_round_others() {
    let task = forecaster(&["x", "y"], 4, &[16, 8]);
    let windows = swinging(200, 4);
    let first = start(&task, 1);
    let bits = |seed, round| {
        let settings = Training { epochs: 2, seed, round, ..Training::default() };
        let trained = train(&task, &first, &windows, &settings, &mut go_on).unwrap();
        trained.parameters.values().iter().map(|value| value.to_bits()).collect::<Vec<_>>()
    };
    assert_eq!(bits(3, 1), bits(3, 1));
    assert_ne!(bits(3, 1), bits(4, 1));
    assert_ne!(bits(3, 1), bits(3, 2));
}

#[test]
fn progress_counts_every_step_and_can_break_training_off() {
    let task = forecaster(&["x", "y"], 4, &[4]);
    let windows = swinging(134, 4);
    let settings = Training { epochs: 2, ..Training::default() };
    let mut told = Vec::new();
    let result = train(&task, &start(&task, 1), &windows, &settings, &mut |progress: Progress| {
        told.push((progress.epoch, progress.step));
        assert_eq!((progress.epochs, progress.steps), (2, 3));
        if told.len() == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(result.unwrap_err(), LearnError::Cancelled);
    assert_eq!(told, [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2)]);
}

#[test]
fn a_loss_that_is_not_finite_is_an_error_that_says_where() {
    let task = forecaster(&["x", "y"], 4, &[4]);
    let mut first = start(&task, 1);
    first.values_mut().fill(f32::MAX);
    let error = train(&task, &first, &swinging(100, 4), &Training::default(), &mut go_on).unwrap_err();
    assert_eq!(error, LearnError::NotFinite { epoch: 1, step: 1 });
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let task = forecaster(&["x", "y"], 4, &[4]);
    let run = |first: &ParameterVector, windows: &Windows| {
        train(&task, first, windows, &Training::default(), &mut go_on).unwrap_err()
    };
    let other = forecaster(&["x", "y"], 4, &[5]);
    assert_eq!(run(&start(&other, 1), &swinging(100, 4)), LearnError::OtherSchema);
    let windows = LearnError::OtherWindows { past_steps: 5, columns: 2 };
    assert_eq!(run(&start(&task, 1), &swinging(100, 5)), windows);
    assert_eq!(run(&start(&task, 1), &swinging(3, 4)), LearnError::NoExamples);
}

#[test]
fn a_task_with_an_empty_layer_is_refused() {
    let (task, whole) = (forecaster(&["x", "y"], 4, &[0]), forecaster(&["x", "y"], 4, &[4]));
    let first = start(&whole, 1);
    let result = train(&task, &first, &swinging(100, 4), &Training::default(), &mut go_on);
    assert!(matches!(result.unwrap_err(), LearnError::EmptyLayer | LearnError::Task(_)));
}

#[test]
fn no_epochs_leave_the_parameters_as_they_were() {
    let task = forecaster(&["x", "y"], 4, &[4]);
    let first = start(&task, 1);
    let settings = Training { epochs: 0, ..Training::default() };
    assert_eq!(train(&task, &first, &swinging(100, 4), &settings, &mut go_on).unwrap().parameters, first);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn any_batch_size_trains_to_finite_parameters(batch in 0_usize..300, rows in 6_usize..60) {
        let task = forecaster(&["x", "y"], 4, &[4]);
        let settings = Training { batch, ..Training::default() };
        let trained = train(&task, &start(&task, 1), &swinging(rows, 4), &settings, &mut go_on).unwrap();
        prop_assert!(trained.parameters.values().iter().all(|value| value.is_finite()));
        prop_assert_eq!(trained.samples, rows as u64 - 4);
    }
}

/// A task in closed form over two metrics, and its first model.
fn closed(network: Network, past_steps: u32, hidden: &[u32]) -> (Forecaster, ParameterVector) {
    let task = Forecaster { network, ..forecaster(&["x", "y"], past_steps, hidden) };
    let first = Task::Forecaster(task.clone()).initial(1).unwrap();
    (task, first)
}

#[test]
fn a_ridge_regression_learns_a_line_in_one_pass() {
    let (task, first) = closed(Network::Ridge, 6, &[]);
    let windows = swinging(300, 6);
    assert!(mean_loss(&task, &first, &windows).unwrap() > 0.4);
    let trained = train(&task, &first, &windows, &Training::default(), &mut go_on).unwrap();
    // A swing goes on as a line of its past; the penalty leaves a little.
    assert!(trained.loss < 0.001, "{}", trained.loss);
    assert_eq!((trained.samples, trained.steps), (294, 1));
    let again = train(&task, &trained.parameters, &windows, &Training::default(), &mut go_on).unwrap();
    assert_eq!(again, trained);
}

#[test]
fn principal_components_say_again_what_lies_along_them() {
    // Two metrics that are one, but for a little; the other way round is what they do not know.
    let rows = |opposed: f32| -> Vec<f32> {
        (0..200)
            .flat_map(|row| {
                let x = (row as f32 * 0.7).sin();
                [x + 1.0, opposed * x + 2.0]
            })
            .collect()
    };
    let windows = |values: &[f32]| {
        pipeline::window(table(2, values), &pipeline::Window { past_steps: 0, stride: 1, gap_steps: 3 })
    };
    let (task, first) = closed(Network::Pca, 0, &[1]);
    let trained = train(&task, &first, &windows(&rows(0.9)), &Training::default(), &mut go_on).unwrap();
    assert!(trained.loss < 1e-6, "{}", trained.loss);
    assert!(mean_loss(&task, &trained.parameters, &windows(&rows(-0.9))).unwrap() > 0.3);
}

#[test]
fn moments_of_two_nodes_are_those_of_both_in_one_place() {
    let (task, first) = closed(Network::Ridge, 6, &[]);
    let all = swinging(300, 6);
    let parts = [all.only(|index| index < 200), all.only(|index| index >= 200)];
    let of = |windows: &Windows| train(&task, &first, windows, &Training::default(), &mut go_on).unwrap();
    let (one, other, both) = (of(&parts[0]), of(&parts[1]), of(&all));
    assert_eq!((one.samples, other.samples), (200, 94));
    let each = one.parameters.values().iter().zip(other.parameters.values());
    for ((one, other), both) in each.zip(both.parameters.values()) {
        let mean = (200.0 * f64::from(*one) + 94.0 * f64::from(*other)) / 294.0;
        assert!((mean - f64::from(*both)).abs() < 1e-6);
    }
}

#[test]
fn a_model_in_closed_form_can_be_broken_off_and_needs_moments_that_telemetry_has() {
    let (task, first) = closed(Network::Ridge, 6, &[]);
    let windows = swinging(300, 6);
    let stop = &mut |_: Progress| ControlFlow::Break(());
    let error = train(&task, &first, &windows, &Training::default(), stop).unwrap_err();
    assert_eq!(error, LearnError::Cancelled);
    let negative = first.values().iter().map(|_| -1.0).collect();
    let negative = ParameterVector::new(Arc::clone(first.schema()), negative).unwrap();
    assert_eq!(mean_loss(&task, &negative, &windows).unwrap_err(), LearnError::NoMoments);
}
