//! A forecaster as an ONNX file, which ONNX Runtime and others run: matrix products with `Relu` between them.
//!
//! The messages are those of `onnx/onnx.proto3`, as far as such a graph needs them; a `oneof` is written as its
//! optional fields, which are the same bytes. IR version 7 with version 13 of the operators: what ONNX 1.8 (November
//! 2020) and everything after it reads.

use common::model::{Forecaster, Foresees, Network, Schema, Task};
use prost::Message;

/// `IR_VERSION_2020_5_8`.
const IR_VERSION: i64 = 7;
/// Of the operators of ONNX itself, whose domain is the empty name (`Gemm` 13, `Relu` 13).
const OPERATORS_VERSION: i64 = 13;
/// `TensorProto.DataType.FLOAT`.
const FLOAT: i32 = 1;

/// The scaled values of all metrics at the past steps, the oldest first: [windows, past steps x metrics].
const INPUT: &str = "past";
/// The scaled values of all metrics at the next step: [windows, metrics].
const OUTPUT: &str = "next";
/// As many as are fed.
const WINDOWS: &str = "windows";

#[derive(Clone, PartialEq, Message)]
struct ModelProto {
    #[prost(int64, tag = "1")]
    ir_version: i64,
    #[prost(string, tag = "2")]
    producer_name: String,
    #[prost(string, tag = "3")]
    producer_version: String,
    #[prost(message, optional, tag = "7")]
    graph: Option<GraphProto>,
    #[prost(message, repeated, tag = "8")]
    opset_import: Vec<OperatorSetIdProto>,
    #[prost(message, repeated, tag = "14")]
    metadata_props: Vec<StringStringEntryProto>,
}

#[derive(Clone, PartialEq, Message)]
struct OperatorSetIdProto {
    #[prost(string, tag = "1")]
    domain: String,
    #[prost(int64, tag = "2")]
    version: i64,
}

#[derive(Clone, PartialEq, Message)]
struct StringStringEntryProto {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    node: Vec<NodeProto>,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<ValueInfoProto>,
}

#[derive(Clone, PartialEq, Message)]
struct NodeProto {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    op_type: String,
}

#[derive(Clone, PartialEq, Message)]
struct TensorProto {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(string, tag = "8")]
    name: String,
    /// Little-endian.
    #[prost(bytes = "vec", tag = "9")]
    raw_data: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct ValueInfoProto {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    r#type: Option<TypeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct TypeProto {
    #[prost(message, optional, tag = "1")]
    tensor_type: Option<TensorType>,
}

/// `TypeProto.Tensor`.
#[derive(Clone, PartialEq, Message)]
struct TensorType {
    #[prost(int32, tag = "1")]
    elem_type: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<TensorShapeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorShapeProto {
    #[prost(message, repeated, tag = "1")]
    dim: Vec<Dimension>,
}

/// `TensorShapeProto.Dimension`.
#[derive(Clone, PartialEq, Message)]
struct Dimension {
    #[prost(int64, optional, tag = "1")]
    dim_value: Option<i64>,
    #[prost(string, optional, tag = "2")]
    dim_param: Option<String>,
}

/// The model cannot be written so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OnnxError {
    /// It is none that can be.
    #[error("only forecasters that are perceptrons can be exported as ONNX; safetensors takes every model")]
    NoGraph,
}

/// The bytes of an ONNX file. `notes` are kept in it as they are, by their keys.
///
/// # Errors
///
/// [`OnnxError::NoGraph`] unless it is a forecaster that is a perceptron.
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
    let Some(forecaster @ Forecaster { network: Network::Perceptron, foresees: Foresees::Record, .. }) =
        task.forecaster()
    else {
        return Err(OnnxError::NoGraph);
    };
    assert_eq!(values.len(), schema.parameters(), "the values are the schema's");
    let layers = forecaster.layers();
    let (first, last) = (layers[0].inputs(), layers[layers.len() - 1].outputs());
    let linear = layers.len().div_ceil(2);
    // A weight and a bias each; statistics of an evaluation lie behind them.
    let initializer = schema.ranges().take(2 * linear).map(|(tensor, range)| TensorProto {
        dims: tensor.shape.iter().map(|&side| i64::from(side)).collect(),
        data_type: FLOAT,
        name: tensor.name.to_string(),
        raw_data: values[range].iter().flat_map(|value| value.to_le_bytes()).collect(),
    });
    let graph = GraphProto {
        node: nodes(linear),
        name: "forecaster".to_owned(),
        initializer: initializer.collect(),
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

/// `Gemm` for each layer, whose defaults are the product and the sum that we mean, and `Relu` after all but the last.
fn nodes(layers: usize) -> Vec<NodeProto> {
    let mut nodes = Vec::new();
    let mut from = INPUT.to_owned();
    for layer in 0..layers {
        let is_last = layer + 1 == layers;
        let linear = if is_last { OUTPUT.to_owned() } else { format!("layer{layer}.linear") };
        let [weight, bias] = ["weight", "bias"].map(|part| format!("layer{layer}.{part}"));
        nodes.push(node("Gemm", vec![from, weight, bias], &linear));
        from = format!("layer{layer}.relu");
        if !is_last {
            nodes.push(node("Relu", vec![linear], &from));
        }
    }
    nodes
}

fn node(operator: &str, input: Vec<String>, output: &str) -> NodeProto {
    NodeProto {
        input,
        output: vec![output.to_owned()],
        name: output.to_owned(),
        op_type: operator.to_owned(),
    }
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
    fn a_flat_vector_has_no_graph_and_an_lstm_is_not_written_as_one() {
        let task = Task::Flat { parameters: 3 };
        let schema = task.schema().unwrap();
        assert_eq!(encode(&task, &schema, &[0.0; 3], &[]), Err(OnnxError::NoGraph));
        let Task::Forecaster(of_layers) = forecaster(&[2]) else { panic!("it is one") };
        let task = Task::Forecaster(Forecaster { network: Network::Lstm, ..of_layers });
        let parameters = task.initial(1).unwrap();
        assert_eq!(encode(&task, parameters.schema(), parameters.values(), &[]), Err(OnnxError::NoGraph));
    }
}
