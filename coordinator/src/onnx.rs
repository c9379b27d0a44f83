//! A forecaster as an ONNX file, which ONNX Runtime and others run: for each layer, operators that do the same.
//!
//! IR version 7 with version 13 of the operators: what ONNX 1.8 (November 2020) and everything after it reads.

mod message;

use common::model::{Foresees, Layer, Schema, Task};
use prost::Message;

use message::{
    AttributeProto, Dimension, FLOAT, GraphProto, INT, INT64, INTS, ModelProto, NodeProto,
    OperatorSetIdProto, StringStringEntryProto, TensorProto, TensorShapeProto, TensorType, TypeProto,
    ValueInfoProto,
};

/// `IR_VERSION_2020_5_8`.
const IR_VERSION: i64 = 7;
/// Of the operators of ONNX itself, whose domain is the empty name (`Gemm`, `Relu`, `Reshape`, `Transpose` 13, `Conv` 11, `MaxPool`
/// 12, `LSTM` 7).
const OPERATORS_VERSION: i64 = 13;

/// The scaled values of all metrics at the past steps, the oldest first, and behind them those of the record where the
/// model sees that: [windows, steps x metrics].
const INPUT: &str = "past";
/// The scaled values of all metrics at the next step: [windows, metrics].
const OUTPUT: &str = "next";
/// As many as are fed.
const WINDOWS: &str = "windows";

/// Our places of the gates of an LSTM (i, f, o, g), in the order of ONNX (i, o, f, c).
const GATES: [usize; 4] = [0, 2, 1, 3];

/// The model cannot be written so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OnnxError {
    /// It is none that can be.
    #[error(
        "only forecasters of the next record that were trained can be exported as ONNX, and none in closed form; safetensors \
         takes every model"
    )]
    NoGraph,
}

/// The bytes of an ONNX file. `notes` are kept in it as they are, by their keys.
///
/// # Errors
///
/// [`OnnxError::NoGraph`] unless it is a forecaster of the next record that is not in closed form.
///
/// # Panics
///
/// When these are not the values of that task's schema.
pub fn encode(
    task: &Task,
    schema: &Schema,
    values: &[f32],
    notes: &[(&str, String)],
) -> Result<Vec<u8>, OnnxError> {
    let forecaster = task.forecaster().filter(|of| of.foresees == Foresees::Record);
    let forecaster = forecaster.filter(|of| !of.network.is_closed_form()).ok_or(OnnxError::NoGraph)?;
    assert_eq!(values.len(), schema.parameters(), "the values are the schema's");
    let layers = forecaster.layers();
    let (first, last) = (layers[0].inputs(), layers[layers.len() - 1].outputs());
    // Statistics of an evaluation lie behind those of the layers.
    let mut tensors = schema.ranges().map(|(tensor, range)| (&*tensor.name, &values[range]));
    let mut chain = Chain::default();
    for layer in &layers {
        chain.layer(layer, || tensors.next().expect("the schema is the task's"));
    }
    let graph = GraphProto {
        node: chain.ending_in(OUTPUT),
        name: "forecaster".to_owned(),
        initializer: chain.tensors,
        input: vec![matrix(INPUT, first)],
        output: vec![matrix(OUTPUT, last)],
    };
    let entry = |(key, value): &(&str, String)| StringStringEntryProto {
        key: (*key).to_owned(),
        value: value.clone(),
    };
    let model = ModelProto {
        ir_version: IR_VERSION,
        producer_name: "starling".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPERATORS_VERSION }],
        metadata_props: notes.iter().map(entry).collect(),
    };
    Ok(model.encode_to_vec())
}

/// Operators, each on what the one before it gave, and the tensors that they take beside that.
#[derive(Default)]
struct Chain {
    nodes: Vec<NodeProto>,
    tensors: Vec<TensorProto>,
}

impl Chain {
    /// A layer, whose tensors are taken one after the other.
    fn layer<'v>(&mut self, layer: &Layer, mut take: impl FnMut() -> (&'v str, &'v [f32])) {
        match *layer {
            Layer::Linear { inputs, outputs } => {
                let ((weight, values), (bias, biases)) = (take(), take());
                let tensors = [floats(weight, &[inputs, outputs], values), floats(bias, &[outputs], biases)];
                self.then("Gemm", tensors, []);
            }
            Layer::Relu { .. } => self.then("Relu", [], []),
            Layer::Lstm { steps, inputs, units, is_whole } => {
                let ((weight, by_input), (recurrent, by_unit), (bias, biases)) = (take(), take(), take());
                let width = units as usize;
                // ONNX adds a second bias, of what is recurrent.
                let biases = [gates(biases, 1, width), vec![0.0; 4 * width]].concat();
                let tensors = [
                    floats(weight, &[1, 4 * units, inputs], &gates(by_input, inputs as usize, width)),
                    floats(recurrent, &[1, 4 * units, units], &gates(by_unit, width, width)),
                    floats(bias, &[1, 8 * units], &biases),
                ];
                self.reshape(&[-1, steps.into(), inputs.into()]);
                self.transpose(&[1, 0, 2]);
                self.then("LSTM", tensors, [("hidden_size", Value::One(units.into()))]);
                if is_whole {
                    // [steps, 1, windows, units]
                    self.transpose(&[2, 0, 1, 3]);
                    self.reshape(&[-1, i64::from(steps) * i64::from(units)]);
                } else {
                    // Its second output is what the last step gave.
                    let node = self.nodes.last_mut().expect("it was put there");
                    node.output.insert(0, String::new());
                    self.reshape(&[-1, units.into()]);
                }
            }
            Layer::Convolution { steps, inputs, kernel, channels } => {
                let ((weight, values), (bias, biases)) = (take(), take());
                let tensors = [
                    floats(
                        weight,
                        &[channels, inputs, kernel],
                        &reversed(values, [kernel, inputs, channels]),
                    ),
                    floats(bias, &[channels], biases),
                ];
                let kernel = Value::Some(vec![kernel.into()]);
                self.over_time((steps, inputs), layer, |chain| {
                    chain.then("Conv", tensors, [("kernel_shape", kernel)]);
                });
            }
            Layer::MaxPool { steps, channels, size } => {
                let size = || Value::Some(vec![size.into()]);
                self.over_time((steps, channels), layer, |chain| {
                    chain.then("MaxPool", [], [("kernel_shape", size()), ("strides", size())]);
                });
            }
            Layer::Ridge { .. } | Layer::Principal { .. } => unreachable!("in closed form"),
        }
    }

    /// An operator over time, which takes and gives the values of a step before its steps.
    fn over_time(&mut self, (steps, values): (u32, u32), layer: &Layer, operator: impl FnOnce(&mut Self)) {
        self.reshape(&[-1, steps.into(), values.into()]);
        self.transpose(&[0, 2, 1]);
        operator(self);
        self.transpose(&[0, 2, 1]);
        self.reshape(&[-1, layer.outputs().into()]);
    }

    fn reshape(&mut self, shape: &[i64]) {
        let shape = TensorProto {
            dims: vec![shape.len() as i64],
            data_type: INT64,
            name: format!("shape{}", self.nodes.len()),
            raw_data: shape.iter().flat_map(|side| side.to_le_bytes()).collect(),
        };
        self.then("Reshape", [shape], []);
    }

    fn transpose(&mut self, order: &[i64]) {
        self.then("Transpose", [], [("perm", Value::Some(order.to_vec()))]);
    }

    /// An operator with these tensors and attributes.
    fn then<const T: usize, const A: usize>(
        &mut self,
        operator: &str,
        tensors: [TensorProto; T],
        attributes: [(&str, Value); A],
    ) {
        let before = self.nodes.last().and_then(|node| node.output.last());
        let from = before.map_or(INPUT, String::as_str).to_owned();
        let output = format!("value{}", self.nodes.len());
        self.nodes.push(NodeProto {
            input: [from].into_iter().chain(tensors.iter().map(|tensor| tensor.name.clone())).collect(),
            output: vec![output.clone()],
            name: output,
            op_type: operator.to_owned(),
            attribute: attributes.map(|(name, value)| value.named(name)).into(),
        });
        self.tensors.extend(tensors);
    }

    /// All operators; what the last one gives has this name.
    fn ending_in(&mut self, name: &str) -> Vec<NodeProto> {
        if let Some(output) = self.nodes.last_mut().and_then(|node| node.output.last_mut()) {
            name.clone_into(output);
        }
        std::mem::take(&mut self.nodes)
    }
}

/// Of an attribute.
enum Value {
    One(i64),
    Some(Vec<i64>),
}

impl Value {
    fn named(self, name: &str) -> AttributeProto {
        let (i, ints, r#type) = match self {
            Self::One(value) => (Some(value), Vec::new(), INT),
            Self::Some(values) => (None, values, INTS),
        };
        AttributeProto { name: name.to_owned(), i, ints, r#type }
    }
}

fn floats(name: &str, dims: &[u32], values: &[f32]) -> TensorProto {
    TensorProto {
        dims: dims.iter().map(|&side| side.into()).collect(),
        data_type: FLOAT,
        name: name.to_owned(),
        raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
    }
}

/// [rows, 4 units] as [4 units, rows], the gates in the order of ONNX.
fn gates(values: &[f32], rows: usize, units: usize) -> Vec<f32> {
    let of_gate = |gate: usize| gate * units..(gate + 1) * units;
    let column = |column: usize| (0..rows).map(move |row| values[row * 4 * units + column]);
    GATES.into_iter().flat_map(of_gate).flat_map(column).collect()
}

/// [a, b, c] as [c, b, a].
fn reversed(values: &[f32], [a, b, c]: [u32; 3]) -> Vec<f32> {
    let [a, b, c] = [a, b, c].map(|side| side as usize);
    let at = |place: usize| values[(place % a * b + place / a % b) * c + place / (a * b)];
    (0..a * b * c).map(at).collect()
}

/// As many rows as there are windows.
fn matrix(name: &str, columns: u32) -> ValueInfoProto {
    let windows = Dimension { dim_value: None, dim_param: Some(WINDOWS.to_owned()) };
    let columns = Dimension { dim_value: Some(i64::from(columns)), dim_param: None };
    let shape = Some(TensorShapeProto { dim: vec![windows, columns] });
    let tensor_type = Some(TensorType { elem_type: FLOAT, shape });
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { tensor_type }) }
}

#[cfg(test)]
mod tests {
    use common::model::{Forecaster, Network};

    use super::*;

    fn forecaster(hidden: &[u32]) -> Task {
        let metrics = vec!["cpu".try_into().unwrap(), "memory".try_into().unwrap()];
        let (metrics, hidden) = (metrics.try_into().unwrap(), hidden.to_vec().try_into().unwrap());
        let (network, foresees) = (Network::default(), Foresees::default());
        Task::Forecaster(Forecaster { metrics, past_steps: 3, network, hidden, foresees })
    }

    fn graph(hidden: &[u32]) -> GraphProto {
        let task = forecaster(hidden);
        let first = task.initial(7).unwrap();
        let notes = [("round", "4".to_owned())];
        let bytes = encode(&task, first.schema(), first.values(), &notes).unwrap();
        let model = ModelProto::decode(bytes.as_slice()).unwrap();
        assert_eq!((model.ir_version, model.opset_import[0].version), (7, 13));
        assert_eq!(model.metadata_props, [StringStringEntryProto { key: "round".into(), value: "4".into() }]);
        model.graph.unwrap()
    }

    #[test]
    fn the_graph_goes_from_the_input_through_all_layers_to_the_output() {
        let graph = graph(&[5, 4]);
        let operators: Vec<&str> = graph.node.iter().map(|node| node.op_type.as_str()).collect();
        assert_eq!(operators, ["Gemm", "Relu", "Gemm", "Relu", "Gemm"]);
        assert_eq!(graph.node[0].input, ["past", "layer0.weight", "layer0.bias"]);
        for pair in graph.node.windows(2) {
            assert_eq!(pair[1].input[0], pair[0].output[0]);
        }
        assert_eq!(graph.node[4].output, ["next"]);
        let dims: Vec<&[i64]> = graph.initializer.iter().map(|tensor| tensor.dims.as_slice()).collect();
        assert_eq!(dims, [&[6, 5][..], &[5], &[5, 4], &[4], &[4, 2], &[2]]);
        assert_eq!(graph.initializer[0].raw_data.len(), 6 * 5 * 4);
    }

    #[test]
    fn a_model_without_hidden_layers_is_one_product() {
        let graph = graph(&[]);
        assert_eq!(graph.node.len(), 1);
        assert_eq!((graph.node[0].input[0].as_str(), graph.node[0].output[0].as_str()), ("past", "next"));
    }

    #[test]
    fn tensors_are_laid_out_as_operators_take_them() {
        let values: Vec<f32> = (0..24_u8).map(f32::from).collect();
        let turned = reversed(&values, [2, 3, 4]);
        for (first, second, third) in [(0, 0, 0), (1, 2, 3), (1, 0, 2), (0, 2, 1)] {
            let before = values[(first * 3 + second) * 4 + third];
            assert_eq!(turned[(third * 3 + second) * 2 + first].to_bits(), before.to_bits());
        }
        // Two rows of i, f, o and g of one unit.
        let rows = [1.0, 2.0, 3.0, 4.0, 10.0, 20.0, 30.0, 40.0];
        assert_eq!(gates(&rows, 2, 1), [1.0, 10.0, 3.0, 30.0, 2.0, 20.0, 4.0, 40.0]);
    }

    #[test]
    fn a_flat_vector_and_what_is_in_closed_form_have_no_graph() {
        let task = Task::Flat { parameters: 3 };
        let schema = task.schema().unwrap();
        assert_eq!(encode(&task, &schema, &[0.0; 3], &[]), Err(OnnxError::NoGraph));
        let Task::Forecaster(of_layers) = forecaster(&[]) else { panic!("it is one") };
        let task = Task::Forecaster(Forecaster { network: Network::Ridge, ..of_layers });
        let parameters = task.initial(1).unwrap();
        assert_eq!(encode(&task, parameters.schema(), parameters.values(), &[]), Err(OnnxError::NoGraph));
    }
}
