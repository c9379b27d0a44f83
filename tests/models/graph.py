"""What ONNX Runtime makes of a graph; one line of JSON, floats as the hex of their bytes.

graph.py MODEL.onnx PAST: PAST holds 32-bit floats, a row for each window.
"""

import json
import sys

import numpy
import onnx
import onnxruntime


def main():
    graph, past = sys.argv[1:]
    onnx.checker.check_model(onnx.load(graph), full_check=True)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    rows = numpy.fromfile(past, dtype="<f4").reshape(-1, session.get_inputs()[0].shape[1])
    all_rows, first = (session.run(["next"], {"past": part})[0] for part in (rows, rows[:1]))
    print(json.dumps({"onnx": all_rows.tobytes().hex(), "onnx_of_one": first.tobytes().hex()}))


if __name__ == "__main__":
    main()
