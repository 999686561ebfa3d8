"""Whether steps may share a batch must not depend on the weights and inputs of the day."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import snnconvert
from snnconvert.converter.building.trial import Trial
from tests.converter.conftest import TinyLM


def module(function):
    return type("Net", (nn.Module,), {"forward": lambda self, *args: function(*args)})().eval()


def steps_apart(model, *inputs) -> str:
    snn = snnconvert.convert(model, inputs)
    assert snn.report.passed
    return snn.conversion.step_by_step


MIXING = {
    "roll": lambda x: x + x.roll(1, 0),
    "flip, hidden by the inputs": lambda x: x + F.relu(x - 30) * x.flip(0),
    "cumsum": lambda x: x * 2 + 0.0 * x.cumsum(0),
    "softmax": lambda x: x + x.softmax(0),
    "sort": lambda x: x.sort(0).values,
    "mean": lambda x: x - x.mean(0, keepdim=True),
    "gather": lambda x: x[torch.tensor([1, 0, 2])] + x,
    "batch statistics": lambda x: x + 0.0 * F.batch_norm(x, None, None, training=True),
    "size": lambda x: x.relu() / x.numel(),
}


@pytest.mark.parametrize("name", MIXING)
@pytest.mark.parametrize("inputs", ["random", "zeros"])
def test_what_mixes_samples_runs_step_by_step(name, inputs):
    x = torch.randn(3, 4) if inputs == "random" else torch.zeros(3, 4)
    if inputs == "zeros" and name in ("sort", "mean"):
        x = x + torch.arange(4)  # or their outputs are all zero
    assert steps_apart(module(MIXING[name]), x)


APART = {
    "elementwise": lambda x: x.sigmoid() * x,
    "within a sample": lambda x: x.softmax(1) + x.flip(1) + x.cumsum(1),
    "windows": lambda x: x.reshape(-1, 2).softmax(1).reshape(-1, 4),
    "batch in the middle": lambda x: (x.t()[:, :, None] * 2).squeeze(-1).t(),
    "another dimension before the batch": lambda x: (
        (x.t().reshape(-1, 1) @ torch.ones(1, 2)).reshape(4, x.shape[0], 2).transpose(0, 1)
    ),
}


@pytest.mark.parametrize("name", APART)
def test_what_keeps_samples_apart_is_folded(name):
    assert steps_apart(module(APART[name]), torch.randn(3, 4)) == ""


def test_batch_first_attention_with_padding_is_folded():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    padding = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    snn = snnconvert.convert(layer, {"src": torch.randn(2, 5, 8), "src_key_padding_mask": padding})
    assert snn.report.passed
    assert snn.conversion.step_by_step == ""


def test_networks_with_held_ids_are_folded():
    inputs = {"ids": torch.randint(0, 11, (2, 5)), "mask": torch.ones(2, 5, dtype=torch.long)}
    snn = snnconvert.convert(TinyLM().eval(), inputs)
    assert snn.report.passed
    assert snn.conversion.step_by_step == ""


def test_the_report_says_why_steps_run_one_by_one():
    snn = snnconvert.convert(module(MIXING["roll"]), (torch.randn(3, 4),))
    assert "time steps run one by one: 'roll' mixes the samples of a batch" in snn.report.notes


def test_weights_that_are_loaded_later_do_not_matter():
    class Gate(nn.Module):
        def __init__(self):
            super().__init__()
            self.gate = nn.Parameter(torch.zeros(4))

        def forward(self, x):
            return x + self.gate * x.cumsum(0)

    model, x = Gate().eval(), torch.randn(5, 4)
    snn = snnconvert.convert(model, (x,))
    snn.load_state_dict({"gate": torch.ones(4)})
    torch.testing.assert_close(snn.simulate(x, time_steps=4)[-1], model(x))


def test_an_output_with_steps_inside_another_dimension_runs_step_by_step():
    assert steps_apart(module(lambda x: x.t().reshape(-1)), torch.randn(3, 4))


class Blocks(nn.Module):
    """Equal blocks, of which the last may roll its samples."""

    def __init__(self, count: int, last: int = 0):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(count))
        self.norms = nn.ModuleList(nn.LayerNorm(4) for _ in range(count))
        self.last = last

    def forward(self, x):
        for i, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            x = x + F.gelu(layer(norm(x)))
            x = x + x.roll(self.last if i == len(self.layers) - 1 else 4, 1)
        return x.roll(self.last, 0) if self.last else x


@pytest.mark.parametrize("rules", ["default", "spiking"])
def test_blocks_that_are_alike_are_tried_once(rules, monkeypatch):
    ran, runs = [], Trial._runs
    monkeypatch.setattr(Trial, "_runs", lambda self, node: ran.append(node) or runs(self, node))

    def tried(count):
        ran.clear()
        model, x = Blocks(count).eval(), torch.randn(3, 4)
        snn = snnconvert.convert(model, (x,), rules=rules, calibration=[x], verify=False)
        assert not snn.conversion.step_by_step
        return sum(node.op != "get_attr" for node in ran)

    assert tried(9) == tried(3), "a further block is like those before"


def test_what_differs_in_the_last_of_many_blocks_is_found():
    assert "'roll_9' mixes" in steps_apart(Blocks(9, last=1).eval(), torch.randn(3, 4))


class Adding(nn.Module):
    """Two steps that are alike but for a table: one adds zeros to the first sample, one ones."""

    def __init__(self):
        super().__init__()
        self.register_buffer("index", torch.tensor([0]))
        self.register_buffer("zeros", torch.zeros(1, 4))
        self.register_buffer("ones", torch.ones(1, 4))

    def forward(self, x):
        x = (x * 2).index_add(0, self.index, self.zeros)
        return (x * 2).index_add(0, self.index, self.ones)


def test_nodes_are_not_alike_where_their_tables_differ():
    assert "'index_add_1' mixes" in steps_apart(Adding().eval(), torch.randn(3, 4))


def test_neurons_in_attention_whose_tokens_enclose_the_batch_are_folded():
    torch.manual_seed(0)
    layer, x = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval(), torch.randn(6, 5, 8)
    snn = snnconvert.convert(layer, (x,), rules="spiking", calibration=[x])
    assert snn.report.passed and not snn.conversion.step_by_step
    whole = snn.simulate(x, time_steps=3)
    folded_steps = [snn.step(x if not t else torch.zeros_like(x)) for t in range(3)]
    torch.testing.assert_close(torch.stack(folded_steps).cumsum(0), whole)


def test_a_comparison_that_is_false_of_all_lies_as_its_operands():
    """It would fit any layout, and the steps of this output lie inside another dimension."""
    model, x = module(lambda x: torch.cat([x, x]) > 100), torch.randn(4)
    snn = snnconvert.convert(model, (x,), verify=False)
    x_seq = torch.tensor([[1.0, 1, 1, 1], [200, 1, 1, 1], [1, 1, 1, -200]])
    expected = torch.stack([model(x) for x in x_seq.cumsum(0)])
    assert torch.equal(snn(x_seq), expected)
    assert "inside another dimension" in snn.conversion.step_by_step
