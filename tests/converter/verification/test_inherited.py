"""What layers inherit of an error, and what their own neurons add."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.converter.verification.measure import measure_spiking
from tests.converter.conftest import TinyViT

RULES = """
version: 1
extends: default
time_steps: 1
neuron: {type: multi_threshold, levels: 3, per_octave: 1, bursts: 1}
rules:
  - {name: spikes into maps, match: {op: linear}, action: spike_operands}
"""


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x))


def test_the_first_layer_inherits_nothing_and_the_second_all_that_it_does_not_add(tmp_path):
    torch.manual_seed(0)
    net, x = Two().eval().requires_grad_(False), torch.randn(8, 4)
    (tmp_path / "r.yaml").write_text(RULES)
    snn = snnconvert.convert(net, (torch.randn(8, 4),), tmp_path / "r.yaml", verify=False)
    first, second = measure_spiking(snn, [x]).layers
    assert first.inherited == 0 and first.added == first.rel_error > 1e-3
    # The second by hand: on what arrives with its neurons, and on what arrives without them.
    own = dict(snn.tree.named_modules())
    wanted = net(x)
    hidden = net.first(own["first.input_neuron"].cumulative(x[None])[0])
    inherited = net.second(hidden)
    reached = net.second(own["second.input_neuron"].cumulative(hidden[None])[0])
    for found, (one, other) in {
        second.inherited: (inherited, wanted),
        second.added: (reached, inherited),
        second.rel_error: (reached, wanted),
    }.items():
        assert found == pytest.approx(float((one - other).norm() / wanted.norm()), rel=1e-4)


@pytest.mark.parametrize("rules", ["spiking", "fully_spiking", "pow2"])
def test_errors_add_up_about_as_squares(rules):
    torch.manual_seed(0)
    snn = snnconvert.convert(TinyViT().eval(), (torch.randn(16, 1, 4, 4),), rules, verify=False)
    report = measure_spiking(snn, [torch.randn(16, 1, 4, 4)])
    assert report.layers[0].inherited < 1e-6
    for layer in report.layers:
        together = math.hypot(layer.inherited, layer.added)
        assert layer.rel_error <= layer.inherited + layer.added + 1e-9
        assert 0.4 * together <= layer.rel_error + 1e-9
    worst = report.worst_layer
    assert worst is not None and worst.added == max(layer.added for layer in report.layers)
    assert f"own neurons add most to the error is '{worst.name}'" in " ".join(report.sentences())


def test_a_shared_neuron_adds_to_every_layer_that_it_serves():
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q, self.k = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([self.q(x), self.k(x)], 1)

    torch.manual_seed(0)
    snn = snnconvert.convert(Shared().eval(), (torch.randn(8, 4),), "pow2", verify=False)
    report = measure_spiking(snn, [torch.randn(8, 4)])
    assert len(report.layers) == 2 and all(layer.added > 0 for layer in report.layers)
    assert all(layer.inherited == 0 for layer in report.layers)


def test_without_twins_it_is_not_looked_at():
    x = torch.randn(4, 1, 4, 4)
    snn = snnconvert.convert(TinyViT().eval(), (x,), "spiking", verify=False)
    report = measure_spiking(snn, [x], twins=False)
    assert {(layer.inherited, layer.added) for layer in report.layers} == {(None, None)}
    assert report.worst_layer is None


def test_outputs_are_the_same_to_the_bit_with_and_without_looking():
    torch.manual_seed(0)
    x = torch.randn(4, 1, 4, 4)
    snn = snnconvert.convert(TinyViT().eval(), (x,), "fully_spiking", verify=False)
    before = snn.simulate(x, time_steps=2)
    measure_spiking(snn, [x], time_steps=2)
    assert torch.equal(snn.simulate(x, time_steps=2), before)
