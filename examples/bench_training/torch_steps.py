"""Trains a model as its description says, one epoch after the other from the first weights on, in PyTorch on one thread.

Takes the description in JSON and the CPU seconds to go on for; prints in JSON how many epochs that were, and what they took.
"""

import copy
import json
import sys
import time

import torch
from torch import nn

torch.set_num_threads(1)
torch.manual_seed(1)


class LastStep(nn.Module):
    """An LSTM, of which what it says after the last step goes on."""

    def __init__(self, metrics, past_steps, units):
        super().__init__()
        self.shape = (-1, past_steps, metrics)
        self.lstm = nn.LSTM(metrics, units, batch_first=True)
        self.output = nn.Linear(units, metrics)

    def forward(self, past):
        said, _ = self.lstm(past.view(self.shape))
        return self.output(said[:, -1])


class Convolution(nn.Module):
    """Convolutions over three steps, with the larger of two after each."""

    def __init__(self, metrics, past_steps, channels):
        super().__init__()
        self.shape = (-1, past_steps, metrics)
        layers, inputs, steps = [], metrics, past_steps
        for width in channels:
            layers += [nn.Conv1d(inputs, width, 3), nn.ReLU(), nn.MaxPool1d(2)]
            inputs, steps = width, (steps - 2) // 2
        self.layers = nn.Sequential(*layers)
        self.output = nn.Linear(inputs * steps, metrics)

    def forward(self, past):
        return self.output(self.layers(past.view(self.shape).transpose(1, 2)).flatten(1))


def perceptron(metrics, past_steps, hidden):
    layers, width = [], metrics * past_steps
    for units in hidden:
        layers += [nn.Linear(width, units), nn.ReLU()]
        width = units
    return nn.Sequential(*layers, nn.Linear(width, metrics))


def build(case):
    metrics, past_steps, hidden = case["metrics"], case["past_steps"], case["hidden"]
    if case["network"] == "lstm":
        return LastStep(metrics, past_steps, *hidden)
    if case["network"] == "convolution":
        return Convolution(metrics, past_steps, hidden)
    return perceptron(metrics, past_steps, hidden)


def client(case, model, first, past, following):
    """One epoch from the first weights on."""
    model.load_state_dict(first)
    adam = case["optimizer"] == "adam"
    optimizer = (torch.optim.Adam if adam else torch.optim.SGD)(model.parameters(), lr=1e-3)
    for chosen in torch.randperm(len(past)).split(case["batch"]):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(past[chosen]), following[chosen])
        loss.backward()
        optimizer.step()


def main():
    case, seconds = json.loads(sys.argv[1]), float(sys.argv[2])
    model = build(case)
    first = copy.deepcopy(model.state_dict())
    past = torch.rand(case["samples"], case["metrics"] * case["past_steps"]) * 2 - 1
    following = torch.rand(case["samples"], case["metrics"]) * 2 - 1
    client(case, model, first, past, following)
    began, clients = time.process_time(), 0
    while time.process_time() < began + seconds:
        client(case, model, first, past, following)
        clients += 1
    print(json.dumps({"clients": clients, "cpu_s": time.process_time() - began}))


main()
