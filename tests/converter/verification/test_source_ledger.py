"""The source's ledger: multiply-accumulates are torch's, and the rest is counted by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import snnconvert
from snnconvert.converter.checks.check_list import read_check_list
from snnconvert.converter.convert import convert_source
from snnconvert.converter.tracing.batches import example_batch, leaves_of_batches
from snnconvert.converter.tracing.source_runs import WithoutFastPaths
from snnconvert.converter.verification.check_tensors import own_tensors
from snnconvert.converter.verification.measure import measure_spiking
from snnconvert.converter.verification.measure.source_ledger import SourceLedger
from snnconvert.converter.verification.reference import Reference
from snnconvert.costs.ledger import summed
from snnconvert.rules import load_rules
from snnconvert.sources.request import ModelRequest

LISTS = Path(__file__).parents[3] / "benchmarks/check"
FAST = [e for name in ("hf-fast", "timm-fast") for e in read_check_list(LISTS / f"{name}.yaml")]


def ran(snn, leaves):
    source = SourceLedger(snn.conversion, Reference(snn.conversion, own_tensors(snn)))
    with torch.no_grad():
        source.run(leaves, frozenset()).finish()
    return source


def counted(snn, leaves):
    return summed(ran(snn, leaves).ledger.rows(1))


MORE = {
    "hf-tiny:qwen3_moe",  # rows of experts, an operator of transformers' own
    "hf-tiny:mamba",  # products with a state that are written out element by element
}
"""Models with maps of which torch has no formula."""


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 5)

    def forward(self, x):
        h = F.gelu(self.conv(x))
        h = F.max_pool2d(h + h * h.sigmoid(), 2)
        return self.fc(h.mean((2, 3)))


def test_a_source_is_counted_by_hand():
    x = torch.randn(2, 3, 8, 8)
    snn = snnconvert.convert(Block().eval(), (x,), verify=False)
    values, pooled = 2 * 4 * 8 * 8, 2 * 4 * 4 * 4
    macs = values * 27 + 2 * 4 * 5
    assert counted(snn, [x]) == {
        "MACs in floats": macs,
        "weight reads in floats": macs,
        "functions in floats": 3 * values,  # gelu, sigmoid and their product
        "additions": values + pooled,  # the residual, the mean
        "comparisons": pooled * 4,
        "activations moved": values + 10 + 3 * values,
    }


class Added(nn.Module):
    """Sums that are part of a map, of a product and of a choice, and a transform."""

    def forward(self, x):
        h = torch.baddbmm(x, x, x) + torch.addcmul(x, x, x.exp())
        h = h.index_add(1, torch.tensor([0, 2]), x[:, :2])
        return h.topk(2, -1)[0], torch.fft.rfft(h)


def test_what_is_added_to_a_map_and_what_is_chosen_is_counted_by_hand():
    x = torch.randn(3, 4, 4)
    snn = snnconvert.convert(Added().eval(), (x,), verify=False)
    products, spectrum = 3 * 4 * 4 * 4, 3 * 4 * 3
    macs = products + 3 * 4 * 2.5 * 4 * 2 / 2
    assert counted(snn, [x]) == {
        "MACs in floats": macs,
        "weight reads in floats": macs,
        "functions in floats": 48 + 48,  # the exponential, and its product
        "additions": 48 + 48 + 48 + 3 * 2 * 4,  # beside each product, of both, at places
        "comparisons": 12 * (4 + 2),  # of rows of four, the larger two
        "activations moved": 48 + 48 + 48 + 2 * spectrum,
    }


class Normed(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 5)

    def forward(self, x):
        h = self.norm(self.conv(x)).relu()
        return self.fc((h + h.sigmoid()).mean((2, 3)))


def test_what_a_map_absorbs_is_free_and_a_rectifier_compares():
    x = torch.randn(2, 3, 8, 8)
    values, macs = 2 * 4 * 6 * 6, 2 * 4 * 6 * 6 * 27 + 2 * 4 * 5
    rest = {
        "MACs in floats": macs,
        "weight reads in floats": macs,
        "functions in floats": values,  # the sigmoid
        "comparisons": values,
        "activations moved": values + 10 + values,
    }
    for rules, norms in (("default", values), ("spiking", 0)):
        kept = {"rules": rules, "calibration": [x]} if rules == "spiking" else {"rules": rules}
        snn = snnconvert.convert(Normed().eval(), (x,), verify=False, **kept)
        assert counted(snn, [x]) == {**rest, "additions": 2 * values + norms}


class Projected(nn.Module):
    def __init__(self):
        super().__init__()
        self.cells = nn.LSTM(6, 8, 2, batch_first=True, proj_size=3, bidirectional=True)

    def forward(self, x):
        return self.cells(x)[0]


def test_functions_of_a_recurrence_are_of_its_cells():
    x = torch.randn(2, 5, 6)
    snn = snnconvert.convert(Projected().eval(), (x,), verify=False)
    assert counted(snn, [x])["functions in floats"] == 2 * 5 * 8 * 2 * 2 * 8


class Bags(nn.Module):
    """Sums of embeddings, which a stream starts from."""

    def __init__(self):
        super().__init__()
        self.bags, self.fc = nn.EmbeddingBag(10, 6, mode="sum"), nn.Linear(6, 3)

    def forward(self, ids):
        return self.fc(self.bags(ids))


def test_what_a_stream_starts_from_is_in_neither_ledger():
    ids = torch.randint(0, 10, (4, 5))
    snn = snnconvert.convert(Bags().eval(), (ids,), "spiking", calibration=[ids], verify=False)
    report = measure_spiking(snn, [ids])
    assert {row.layer for row in (*report.ledger, *report.source_ledger)} == {"linear"}


class Adapted(nn.Module):
    """A weight that is made of weights, as adapters of low rank are."""

    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Parameter(torch.randn(5, 2)), nn.Parameter(torch.randn(2, 6))

    def forward(self, x):
        return F.linear(x, self.up @ self.down)


def test_what_does_not_depend_on_inputs_is_in_neither_ledger():
    x = torch.randn(3, 6)
    snn = snnconvert.convert(Adapted().eval(), (x,), rules="spiking", calibration=[x], verify=False)
    assert counted(snn, [x])["MACs in floats"] == 3 * 5 * 6
    report = measure_spiking(snn, [x])
    assert report.work.source_macs == 5 * 6 + report.work.still_macs
    assert report.work.still_macs == 5 * 2 * 6 / 3 and report.work.spiking_share == 1.0
    layers = {row.layer for row in (*report.ledger, *report.source_ledger)}
    assert layers == {"linear"}


@pytest.mark.sweep
@pytest.mark.filterwarnings("ignore:TF32 acceleration")  # of a setting that it only reads
@pytest.mark.parametrize("entry", FAST, ids=lambda e: e.name)
def test_multiply_accumulates_of_models_are_torchs(entry):
    source = ModelRequest(entry.model, entry.arch, entry.input, (), seed=0).load()
    snn = convert_source(source, load_rules("default"), verification=None)
    counter = FlopCounterMode(display=False)
    # Of kernels that are one operator on the CPU, attention and LSTM, torch has no formula.
    plain = (sdpa_kernel(SDPBackend.MATH), torch.backends.mkldnn.flags(enabled=False))
    with torch.no_grad(), WithoutFastPaths(), plain[0], plain[1], counter:
        source.model.eval().requires_grad_(False)(*source.args, **source.kwargs)
    traced = snn.conversion.source
    (leaves,) = leaves_of_batches(traced, [example_batch(traced)], "data", snn.placed)
    found, theirs = 2 * ran(snn, leaves).macs, counter.get_total_flops()
    assert found > theirs > 0 if entry.name in MORE else found == theirs > 0
