//! What the model foresees, and how wrong it is.

use common::model::{Forecaster, ParameterVector};

use super::parameters::{floats, to_module};
use super::train::batch;
use super::{LearnError, check, device};
use pipeline::Windows;

/// Windows in one pass: bounds the memory, and is large enough for the matrix product.
const BATCH: usize = 1024;

/// The forecast of every window: [windows, metrics], row-major, in scaled values.
///
/// # Errors
///
/// [`LearnError`] when task, parameters and windows do not belong together.
pub fn forecast(
    task: &Forecaster,
    parameters: &ParameterVector,
    windows: &Windows,
) -> Result<Vec<f32>, LearnError> {
    check(task, parameters, windows)?;
    let device = device();
    let module = to_module(task, parameters, &device);
    let mut forecasts = Vec::with_capacity(windows.count() * windows.columns());
    for start in (0..windows.count()).step_by(BATCH) {
        let (input, _) = batch(windows, start..windows.count().min(start + BATCH), &device);
        forecasts.extend(floats(module.forward(input))?);
    }
    Ok(forecasts)
}

/// Mean squared error over all windows and metrics, as in training; for windows kept for validation.
///
/// # Errors
///
/// As [`forecast`], and [`LearnError::NoWindows`].
pub fn mean_loss(
    task: &Forecaster,
    parameters: &ParameterVector,
    windows: &Windows,
) -> Result<f64, LearnError> {
    let forecasts = forecast(task, parameters, windows)?;
    if forecasts.is_empty() {
        return Err(LearnError::NoWindows);
    }
    let sum: f64 = (0..windows.count())
        .zip(forecasts.chunks_exact(windows.columns()))
        .flat_map(|(index, forecast)| forecast.iter().zip(windows.next(index)))
        .map(|(forecast, actual)| f64::from(forecast - actual).powi(2))
        .sum();
    Ok(sum / forecasts.len() as f64)
}
