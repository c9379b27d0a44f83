//! Between the flat vector that travels and the module that learns.

use std::sync::Arc;

use burn::module::{Param, ParamId};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData};
use common::model::{Forecaster, ParameterVector, Schema};

use super::LearnError;
use super::model::Mlp;

/// The module with these values, which are in the order of the task's schema.
/// Its parameter ids are their places in it: burn would draw them at random.
pub(super) fn to_module(task: &Forecaster, parameters: &ParameterVector, device: &Device) -> Mlp {
    let mut rest = parameters.values();
    let mut take = |length: usize| {
        let (head, tail) = rest.split_at(length);
        rest = tail;
        head.to_vec()
    };
    let widths = task.widths();
    let layers = (0..)
        .step_by(2)
        .zip(widths.windows(2))
        .map(|(id, sides)| {
            let (inputs, outputs) = (sides[0] as usize, sides[1] as usize);
            let weight = TensorData::new(take(inputs * outputs), [inputs, outputs]);
            let bias = TensorData::new(take(outputs), [outputs]);
            Linear {
                weight: parameter(id, Tensor::from_data(weight, device)),
                bias: Some(parameter(id + 1, Tensor::from_data(bias, device))),
            }
        })
        .collect();
    Mlp { layers }
}

fn parameter<const D: usize>(id: u64, value: Tensor<D>) -> Param<Tensor<D>> {
    let tracked = value.device().is_autodiff();
    Param::initialized(ParamId::from(id), if tracked { value.require_grad() } else { value })
}

/// The values of a module, under the schema of its task.
pub(super) fn from_module(module: &Mlp, schema: &Arc<Schema>) -> Result<ParameterVector, LearnError> {
    let mut values = Vec::with_capacity(schema.parameters());
    for layer in &module.layers {
        append(layer.weight.val(), &mut values)?;
        if let Some(bias) = &layer.bias {
            append(bias.val(), &mut values)?;
        }
    }
    ParameterVector::new(Arc::clone(schema), values).map_err(|_| LearnError::OtherSchema)
}

fn append<const D: usize>(tensor: Tensor<D>, values: &mut Vec<f32>) -> Result<(), LearnError> {
    values.extend_from_slice(&floats(tensor)?);
    Ok(())
}

/// The values of a tensor, row-major.
pub(super) fn floats<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, LearnError> {
    let data = tensor.try_into_data().map_err(|error| LearnError::Backend(error.to_string()))?;
    data.try_into_vec().map_err(|error| LearnError::Backend(format!("{error:?}")))
}

#[cfg(test)]
mod tests {
    use common::model::Task;

    use super::super::samples::forecaster;
    use super::*;

    #[test]
    fn a_flat_vector_comes_back_from_the_module_bit_by_bit() {
        let task = forecaster(&["x", "y"], 3, &[5, 4]);
        let parameters = Task::Forecaster(task.clone()).initial(7).unwrap();
        for device in [super::super::device(), super::super::device().autodiff()] {
            let module = to_module(&task, &parameters, &device);
            assert_eq!(from_module(&module, parameters.schema()).unwrap(), parameters);
        }
    }

    #[test]
    fn a_weight_is_laid_out_by_input_and_then_output() {
        let task = forecaster(&["x", "y"], 1, &[]);
        let schema = Arc::new(Task::Forecaster(task.clone()).schema().unwrap());
        let parameters = ParameterVector::new(schema, vec![1.0, 2.0, 3.0, 4.0, 0.5, 0.25]).unwrap();
        let device = super::super::device();
        let input = Tensor::from_data(TensorData::new(vec![1.0_f32, 10.0], [1, 2]), &device);
        let output = to_module(&task, &parameters, &device).forward(input);
        assert_eq!(floats(output).unwrap(), [1.0 + 30.0 + 0.5, 2.0 + 40.0 + 0.25]);
    }
}
