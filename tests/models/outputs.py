"""What PyTorch and ONNX Runtime make of an exported model; one line of JSON, floats as the hex of their bytes.

outputs.py MODEL.safetensors MODEL.onnx PAST RESAVED: PAST holds 32-bit floats, a row for each window. The model as
PyTorch has it is written to RESAVED, with the metadata it came with.
"""

import array
import json
import sys

import numpy
import onnx
import onnxruntime
import safetensors
import safetensors.torch
import torch


def floats(values):
    return array.array("f", values).tobytes().hex()


def perceptron(tensors, layers):
    """Linear layers of PyTorch, whose weights are [out, in]."""
    modules = []
    for layer in range(layers):
        weight, bias = tensors[f"layer{layer}.weight"], tensors[f"layer{layer}.bias"]
        linear = torch.nn.Linear(weight.shape[0], weight.shape[1])
        linear.load_state_dict({"weight": weight.T, "bias": bias})
        modules += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*modules[:-1])


def main():
    model, graph, past, resaved = sys.argv[1:]
    tensors = safetensors.torch.load_file(model)
    with safetensors.safe_open(model, framework="pt") as file:
        metadata = file.metadata()
    safetensors.torch.save_file(tensors, resaved, metadata)

    module = perceptron(tensors, len(tensors) // 2)
    columns = module[0].in_features
    with open(past, "rb") as file:
        values = array.array("f", file.read())
    rows = torch.tensor(values.tolist(), dtype=torch.float32).reshape(-1, columns)
    with torch.no_grad():
        by_torch = module(rows).flatten().tolist()

    loaded = onnx.load(graph)
    onnx.checker.check_model(loaded, full_check=True)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    fed = numpy.array(values, dtype=numpy.float32).reshape(-1, columns)
    (by_onnx,) = session.run(["next"], {"past": fed})
    (one,) = session.run(None, {"past": fed[:1]})

    print(json.dumps({
        "metadata": metadata,
        "tensors": {name: floats(tensor.flatten().tolist()) for name, tensor in tensors.items()},
        "torch": floats(by_torch),
        "onnx": floats(by_onnx.flatten().tolist()),
        "onnx_of_one": floats(one.flatten().tolist()),
        "notes": session.get_modelmeta().custom_metadata_map,
        "shapes": [[value.name, value.shape] for value in session.get_inputs() + session.get_outputs()],
    }))


if __name__ == "__main__":
    main()
