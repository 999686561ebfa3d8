from __future__ import annotations

import io

import pytest
import torch
from torch import nn
from torch.nn.attention.flex_attention import flex_attention

import snnconvert
from snnconvert.errors import InputError, SavedFileError
from snnconvert.rules import parse_rules


class Tagged(nn.Module):
    def forward(self, x):
        return {"logits": x.tanh(), "task": "classify"}


class Scored(nn.Module):
    def forward(self, q):
        return flex_attention(q, q, q.tanh(), score_mod=lambda s, b, h, i, j: s + (i - j) * 0.1)


class Divided(nn.Module):
    """Whole numbers by whole numbers: the least by -1 would end a process."""

    def forward(self, x):
        signs = x.sign().int()
        return x * torch.div(signs * 8, signs + 3, rounding_mode="trunc")


class Marked(torch.Tensor):
    """A class of a user's own, whose pickle names it."""


class OfMarked(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 4).as_subclass(Marked))

    def forward(self, x):
        return x @ self.weight


@pytest.mark.parametrize(
    ("model", "x", "words"),
    [
        (OfMarked(), torch.randn(2, 4), r"test_write\.Marked: only tensors are expected here"),
        (Divided(), torch.randn(2, 4), "divide whole numbers with rounding_mode='floor'"),
        (Tagged(), torch.randn(2, 4), "an output is the text 'classify'"),
        (Scored(), torch.randn(2, 2, 8, 16), r"cannot write this model \(SerializeError: "),
    ],
)
def test_what_could_not_be_loaded_is_refused_and_no_file_is_left(tmp_path, model, x, words):
    snn = snnconvert.convert(model.eval(), (x,), verify=False)
    with pytest.raises(SavedFileError, match=words):
        snn.save(tmp_path / "a.snn")
    assert list(tmp_path.iterdir()) == []


class Merged(nn.Module):
    """Rows ``[L * B, F]`` beside a mask ``[B, L]``: where L is even, one size is twice another."""

    def forward(self, mask, x):
        kept = (mask > 0).t().reshape(-1, 1)
        return x.reshape(-1, x.shape[-1]).masked_fill(~kept, 0.25).reshape(x.shape)


def test_sizes_that_are_multiples_of_others_are_saved(tmp_path):
    inputs = torch.tensor([[1, 1, 0, 1], [1, 0, 1, 1]]), torch.randn(4, 2, 3)
    snn = snnconvert.convert(Merged().eval(), inputs)
    sizes = [str(given.sizes[given.batch_dim]) for given in snn.conversion.source.inputs]
    assert any(size.startswith("2*") for size in sizes), sizes
    snn.save(tmp_path / "m.snn")
    loaded = snnconvert.load(tmp_path / "m.snn")
    before, after = (x.conversion.source.inputs for x in (snn, loaded))
    assert [given.batch_dim for given in before] == [given.batch_dim for given in after]
    assert torch.equal(loaded.simulate(*inputs), snn.simulate(*inputs))


def test_a_folder_that_is_not_there_is_told(tmp_path):
    snn = snnconvert.convert(nn.Linear(4, 2).eval(), (torch.randn(2, 4),), verify=False)
    with pytest.raises(InputError, match=r"there is no folder .*gone to save to; make it first"):
        snn.save(tmp_path / "gone" / "a.snn")


@pytest.mark.parametrize("dtype", [torch.float32, torch.cfloat])
def test_a_held_input_of_numbers_stays_held(tmp_path, dtype):
    class Scaled(nn.Module):
        def forward(self, x, by):
            return x * by

    x, by = torch.randn(2, 4), torch.randn(2, 4, dtype=dtype)
    snn = snnconvert.convert(Scaled().eval(), (x, by), held=("by",))
    snn.save(tmp_path / "a.snn")
    loaded = snnconvert.load(tmp_path / "a.snn")
    assert [given.role for given in loaded.conversion.source.inputs] == ["coded", "held"]
    assert torch.equal(loaded(torch.stack([x, x]), by), snn(torch.stack([x, x]), by))


def test_thresholds_and_rests_are_saved_as_they_are_now(tmp_path):
    torch.manual_seed(0)
    x = torch.randn(4, 8) + 2
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    rules = parse_rules("""version: 1
extends: spiking
neuron: {threshold: {rest: mean}}
rules: []
""")
    snn, other = (
        snnconvert.convert(model, (x,), rules, calibration=[scale * x], verify=False)
        for scale in (1, 3)
    )
    snn.load_state_dict(other.state_dict())
    snn.save(tmp_path / "it.snn")
    found = snnconvert.load(tmp_path / "it.snn")
    assert all(torch.equal(found.state_dict()[name], x) for name, x in snn.state_dict().items())


def test_what_is_no_path_to_a_file_is_told(tmp_path):
    snn = snnconvert.convert(nn.Tanh().eval(), (torch.randn(2, 4),))
    with pytest.raises(InputError, match="is a folder; name a file in it"):
        snn.save(tmp_path)
    with pytest.raises(InputError, match=r"saved to a path; received BytesIO. dumps\(\) returns"):
        snn.save(io.BytesIO())
    for data in (snn.dumps(), io.BytesIO(snn.dumps())):
        with pytest.raises(InputError, match=r"loaded from a path; received .{5,8}; write"):
            snnconvert.load(data)
