"""Models as people write them: each was once a crash or a wrong verdict."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import snnconvert
from snnconvert.errors import InputError, SavedFileError, TraceError, VerificationError
from tests.converter.building.test_folding import module
from tests.converter.odd_models import CORNERS, Answers


class WithWeight(nn.Module):
    def __init__(self, weight, forward):
        super().__init__()
        self.weight, self.function = nn.Parameter(weight), forward

    def forward(self, x):
        return self.function(x, self.weight)


class MixedPrecision(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4).half()

    def forward(self, x):
        return self.b(self.a(x).half()).float()


def filtered(x, w):
    return torch.fft.irfft(torch.fft.rfft(x) * w, n=16)


CAUSAL = nn.Transformer.generate_square_subsequent_mask(4)
MODELS = {
    "size of a stream": (module(lambda x: (x**2).sum() / x.numel()), (torch.randn(3, 4),)),
    "flattened": (module(lambda x: x.relu().reshape(x.numel())), (torch.randn(3, 4),)),
    "input called clock": (
        type("Net", (nn.Module,), {"forward": lambda self, clock: clock.relu()})(),
        (torch.randn(3, 4),),
    ),
    "input called self": (
        type("Net", (nn.Module,), {"forward": lambda me, self: self.relu()})(),
        (torch.randn(3, 4),),
    ),
    "bags of embeddings": (nn.EmbeddingBag(10, 4), (torch.randint(0, 10, (3, 5)),)),
    "both branches": (
        module(lambda x: torch.cond(x.sum() > 0, lambda x: x * 2, lambda x: x - 1, (x,))),
        (torch.randn(3, 4),),
    ),
    "mixed precision": (MixedPrecision(), (torch.randn(3, 4),)),
    "complex weights": (
        WithWeight(torch.randn(9, dtype=torch.cfloat), filtered),
        (torch.randn(3, 16),),
    ),
    "imaginary weights": (WithWeight(1j * torch.randn(9), filtered), (torch.randn(3, 16),)),
    "complex inputs": (module(torch.fft.fft), (torch.randn(3, 16, dtype=torch.cfloat),)),
    "factories without dtype": (
        WithWeight(
            torch.randn(16, 16),
            lambda x, w: F.linear(x, w) * torch.linspace(0, 1, 16) + torch.hann_window(16),
        ),
        (torch.randn(3, 16),),
    ),
    "factories and no parameters": (
        module(lambda x: x * torch.linspace(0, 1, 7) + torch.arange(7, dtype=torch.float32) / 7),
        (torch.randn(3, 7),),
    ),
    "literal tensors": (
        WithWeight(
            torch.randn(4, 4),
            lambda x, w: (
                F.linear(x, w) * torch.tensor(0.1, dtype=x.dtype)
                + torch.tensor([0.1, 0.2, 0.3, 0.7])
                + torch.tensor(0.3, dtype=torch.float64).to(x.dtype)
            ),
        ),
        (torch.randn(3, 4),),
    ),
    "integers with numbers": (
        module(lambda x: x * (torch.arange(4) + 1e-7).log() + torch.arange(4) / 3),
        (torch.randn(3, 4),),
    ),
    "under vmap": (
        module(torch.vmap(lambda row: row.softmax(0) * row.sum())),
        (torch.randn(3, 4),),
    ),
    "dropout in place": (
        nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5, inplace=True)),
        (torch.randn(3, 4),),
    ),
    "float mask with infinities": (
        module(lambda x, mask: (x + mask).softmax(-1)),
        (torch.randn(3, 4), CAUSAL[:3]),
    ),
    "bytes": (module(lambda x: (x.sigmoid() * 255).to(torch.uint8)), (torch.randn(3, 4),)),
    "named tuple": (module(lambda x: x.topk(2)), (torch.randn(3, 4),)),
    "nothing but its input": (nn.Identity(), (torch.randn(3, 4),)),
    "zeros as an example": (module(lambda x: x * 2 + x.flip(1)), (torch.zeros(3, 4),)),
    **CORNERS,
}


@pytest.mark.parametrize("name", MODELS)
def test_it_is_equivalent(name):
    model, inputs = MODELS[name]
    snn = snnconvert.convert(model.eval(), inputs)
    assert snn.report.passed
    assert snn.report.source_rel_error is not None


def test_mutation_complex_weights_are_compared_whole():
    model = WithWeight(torch.randn(9, dtype=torch.cfloat), filtered).eval()
    snn = snnconvert.convert(model, (torch.randn(3, 16),))
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.weight.copy_(model.weight.conj())  # the real parts are the same
    assert not snnconvert.verify(other, snn).passed


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64])
def test_small_integers_add_up(dtype):
    most = min(torch.iinfo(dtype).max, 10**9)
    least = max(torch.iinfo(dtype).min, -most)
    scaled = module(lambda x: (x * most).clamp(least, most).to(dtype))
    snn = snnconvert.convert(scaled, (torch.randn(3, 4, dtype=torch.float64),))
    assert snn.report.passed
    x = torch.tensor([-1.0, 2.0, -2.0], dtype=torch.float64).reshape(3, 1, 1).expand(3, 3, 4)
    expected = scaled(x.cumsum(0))
    steps = torch.stack([snn.step(now) for now in x])
    for y in (snn(x), steps):
        assert y.dtype is torch.int64
        assert torch.equal(y.cumsum(0), expected.to(torch.int64))
    whole = snn.cumulative(x.cumsum(0))
    assert whole.dtype is dtype and torch.equal(whole, expected)


def test_a_source_that_cannot_be_copied_is_run_itself():
    with pytest.warns(FutureWarning):
        model = nn.utils.weight_norm(nn.Linear(4, 4)).eval()
    report = snnconvert.convert(model, (torch.randn(3, 4),)).report
    assert report.passed and report.source_rel_error < 1e-9


def test_float_ids_whose_parts_are_ids_as_well_are_compared_on_these():
    model = WithWeight(torch.randn(10, 4), lambda x, w: F.embedding(x.long(), w)).eval()
    assert snnconvert.convert(model, (torch.rand(3, 4) * 9,)).report.passed


def test_float_ids_are_told():
    model = WithWeight(torch.randn(10, 4), lambda x, w: F.embedding((12 - x).long(), w)).eval()
    with pytest.raises(VerificationError, match=r"index out of range.*as integers"):
        snnconvert.convert(model, (9 - torch.rand(3, 4),))


def test_inputs_on_which_the_model_does_not_run_are_told():
    with pytest.raises(TraceError, match=r"does not run on the example inputs: .*\(3x7 and 4x5\)"):
        snnconvert.convert(nn.Linear(4, 5).eval(), (torch.randn(3, 7),))


def test_a_submodule_called_graph_is_told():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.graph = nn.Linear(4, 4)

        def forward(self, x):
            return self.graph(x)

    with pytest.raises(TraceError, match=r"'graph' of submodules or tensors hide .* rename them"):
        snnconvert.convert(Net().eval(), (torch.randn(3, 4),))


def test_pickle_and_other_dtypes():
    snn = snnconvert.convert(nn.Linear(4, 5).eval(), (torch.randn(3, 4),))
    x = torch.randn(2, 4)
    assert torch.equal(pickle.loads(pickle.dumps(snn)).simulate(x), snn.simulate(x))
    with pytest.raises(InputError, match=r"torch\.float64 on cpu, the module torch\.float32"):
        snn.simulate(x.double())
    with pytest.raises(SavedFileError, match=r"cast to torch\.float64"):
        pickle.dumps(copy.deepcopy(snn).double())


def test_a_fine_tuned_copy_is_saved_as_it_is(tmp_path):
    snn = copy.deepcopy(snnconvert.convert(nn.Linear(4, 5).eval(), (torch.randn(3, 4),)))
    with torch.no_grad():
        snn.weight.mul_(2)
    snn.save(tmp_path / "a.snn")
    assert torch.equal(snnconvert.load(tmp_path / "a.snn").weight, snn.weight)


def test_an_output_class_becomes_known_to_pytorch(tmp_path):
    x = torch.randn(3, 4)
    snn = snnconvert.convert(Answers().eval(), (x,))
    assert snn.report.passed
    assert any("told of the output class Answer" in note for note in snn.report.notes)
    assert torch.equal(snn.simulate(x, time_steps=2).z[-1], 2 * x)
    with pytest.raises(SavedFileError, match=r"Answer.*Return a tuple"):
        snn.save(tmp_path / "a.snn")  # loading would have to import the class
    assert not list(tmp_path.iterdir())


def test_outputs_that_cannot_be_written_are_told(tmp_path):
    snn = snnconvert.convert(module(lambda x: x.topk(2)), (torch.randn(3, 4),))
    with pytest.raises(SavedFileError, match=r"topk.*Return a tuple"):
        snn.save(tmp_path / "a.snn")
    assert not list(tmp_path.iterdir())


def test_a_model_that_takes_another_path_when_traced_is_told():
    class Other(nn.Module):
        def forward(self, x):
            return x * 2 if torch.compiler.is_compiling() else x * 3

    with pytest.warns(snnconvert.NotEquivalentWarning, match="the conversion equals its trace"):
        snnconvert.convert(Other().eval(), (torch.randn(3, 4),))


def test_the_verdict_says_where_the_first_fault_is(tmp_path):
    rules = tmp_path / "r.yaml"
    rules.write_text(
        "version: 1\nextends: default\n"
        "rules:\n  - {name: bad, match: {op: linear, path: '1'}, action: keep}\n"
    )
    model = nn.Sequential(nn.ReLU(), nn.Linear(4, 4), nn.ReLU()).eval()
    with pytest.warns(
        snnconvert.NotEquivalentWarning, match=r"'linear' \(linear at '1', rule 'bad'"
    ):
        snnconvert.convert(model, (torch.randn(3, 4),), rules)
