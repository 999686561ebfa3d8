"""A converted chain of layers as a network of plain modules, which others' counters can measure.

Each layer is called with one answer of the neurons before it at a time, in units of the threshold,
or with one binary plane of it; what it adds to is scaled back. So a replay computes what the
conversion computes.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from snnconvert.ops.encoding import encoding_named
from snnconvert.ops.neurons import SigmaDelta


class Spikes(nn.Module):
    """What neurons said, for counters that look at the outputs of activation modules."""

    def forward(self, x: Tensor) -> Tensor:
        return x


class Replay(nn.Module):
    """A conversion of an ``nn.Sequential`` whose maps are linear maps and convolutions.

    Args:
        snn: the conversion; neurons stand in front of maps, or nowhere.
        steps: ``T``.
        planes: whether layers are called with binary planes.
    """

    def __init__(self, snn, model: nn.Sequential, steps: int, planes: bool = False):
        super().__init__()
        self.steps, self.planes = steps, planes
        self.encoding = encoding_named(snn.conversion.rules.encoding)
        self.maps, self.neurons = nn.ModuleDict(), nn.ModuleDict()
        self.biases = nn.ParameterDict()
        self.spikes = nn.ModuleDict()
        self.order = list(model.named_children())
        paths = dict(snn.tree.named_modules())
        for name, module in list(self.order):
            if not isinstance(module, nn.Linear | nn.Conv2d):
                continue
            plain = copy.copy(module)
            plain._parameters = {"weight": module.weight, "bias": None}
            self.maps[name] = plain
            if module.bias is not None:
                self.biases[name] = module.bias
            if f"{name}.input_neuron" in paths:
                self.neurons[name] = paths[f"{name}.input_neuron"]
                self.spikes[name] = Spikes()

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        state: dict = {name: {} for name, _ in self.order}
        before: dict = {}
        sums: dict = {}
        for t in range(self.steps):
            value = self.encoding.cumulative(x, t, 1, self.steps)[0]
            for name, module in self.order:
                if name not in self.maps:
                    value = module(value)
                    continue
                for change, finest in self._changes(name, value, state[name], before, t):
                    sums[name] = sums.get(name, 0) + self._answered(name, change, finest)
                value = sums[name]
                if name in self.biases:
                    bias = self.biases[name]
                    value = value + (bias[:, None, None] if value.dim() == 4 else bias)
        return value

    def _changes(self, name, value, state, before, t):
        """Yield what each answer brings, and the unit of its whole numbers; None: floats."""
        if name not in self.neurons:
            last, before[name] = before.get(name, torch.zeros_like(value)), value
            yield value - last, None
            return
        neuron = self.neurons[name]
        last = before.get(name, neuron.resting(value).expand_as(value))
        parts = 1 if isinstance(neuron, SigmaDelta) else neuron.ladder.per_octave
        octaves = 1 if isinstance(neuron, SigmaDelta) else neuron.ladder.levels
        for answer in neuron.answers(value[None], state, t)[0]:
            yield answer - last, float(neuron.v_threshold) / parts / 2 ** (octaves - 1)
            last = answer
        before[name] = last

    def _answered(self, name, change, finest):
        if finest is None:
            return self.maps[name](change)
        neuron = self.neurons[name]
        whole = (change / finest).round()
        if not isinstance(neuron, SigmaDelta):
            # At a limit R is cut by what levels are beyond it by rounding; the spike is a level.
            octave = torch.frexp(whole / neuron.ladder.per_octave).exponent - 1
            whole = torch.ldexp(torch.ldexp(whole, -octave).round(), octave)
        top = float(neuron.v_threshold)
        spike = self.spikes[name](whole * (finest / top))
        if not self.planes:
            return self.maps[name](spike) * top
        left, planes = whole.abs().long(), []
        while bool(left.any()):
            planes.append(whole.sign() * (left & 1))
            left = left >> 1
        return sum(
            (self.maps[name](plane) * finest * 2**i for i, plane in enumerate(planes)),
            torch.zeros(()),
        )
