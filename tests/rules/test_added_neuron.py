"""A neuron type that is added: its class and one row, and rule files know it."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = '''
import torch
from pydantic import Field
from torch import nn
from types import MappingProxyType

import snnconvert.ops.neurons as neurons
from snnconvert.ops.neurons.options import Levels, NeuronOptions
from snnconvert.ops.neurons.tracker import Tracker


class Options(NeuronOptions):
    levels: Levels = Field(3, description="powers of two", examples=[3])
    repeats: int = Field(2, description="answers a step", examples=[2])


class Hasty(Tracker):
    """Gives several answers for one."""

    Options = Options
    candidates = {"levels": (3, 5, 7)}
    _scan = neurons.Neuron._scan

    def __init__(self, v_threshold=1.0, *, levels=3, repeats=2, **others):
        super().__init__(v_threshold, levels=levels, fire_at=0.75, **others)
        self.repeats = repeats

    @classmethod
    def thresholds_of_range(cls, options, target, time_steps):
        return 1.0

    def _emit(self, drive, state, threshold, t, *, first):
        for _ in range(self.repeats):
            followed = super()._emit(drive, state, threshold, t, first=first)
        return followed


neurons.NEURONS = MappingProxyType({**neurons.NEURONS, "hasty": Hasty})

import snnconvert
from snnconvert.errors import RuleError
from snnconvert.rules import parse_rules, rule_schema

FILE = """version: 1
extends: default
time_steps: 2
neuron: {type: hasty, %s}
rules: [{name: s, match: {op: linear}, action: spike_operands}]
"""
assert "hasty" in str(rule_schema())
try:
    parse_rules(FILE % "tau: 2.0")
except RuleError as error:
    assert "a hasty neuron has no tau; its options are" in str(error), error
    assert "levels, repeats" in str(error), error
else:
    raise AssertionError("another type's option was taken")
torch.manual_seed(0)
model, x = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).eval(), torch.randn(64, 4)
errors = []
for repeats in (1, 4):
    rules = parse_rules(FILE % f"levels: auto, repeats: {repeats}")
    snn = snnconvert.convert(model, (x,), rules, calibration=[x, x], verify=False)
    assert "Hasty" in str(snn)
    errors.append(float((snn.simulate(x)[-1] - model(x)).norm()))
assert errors[1] < 0.5 * errors[0], errors
'''


def test_a_type_that_is_added_is_a_class_and_a_row():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
