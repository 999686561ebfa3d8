from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

import snnconvert
from tests.converter.conftest import TinyCNN

FOLD = replace(snnconvert.load_rules("default"), fold_batch_norm=True)


class Folds(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3)
        self.fc, self.bn1 = nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4, affine=False)
        snnconvert.randomize_constant_weights(self)

    def forward(self, x):
        return self.bn1(self.fc(self.bn(self.conv(x)).relu().mean((2, 3))))


def kinds(snn):
    return {row.kind: row.nodes for row in snn.report.kinds}


def test_folding_is_equivalent_and_leaves_no_batch_norm():
    model = Folds().eval().double()
    snn = snnconvert.convert(model, (torch.randn(2, 1, 6, 6).double(),), FOLD)
    assert snn.report.passed
    assert "batch_norm" not in kinds(snn)
    assert set(snn.state_dict()) == {"conv.weight", "conv.bias", "fc.weight", "fc.bias"}
    exact = snnconvert.verify(model, snn, dtype=torch.float64)
    assert exact.passed and exact.max_rel_error < 1e-12


def test_the_source_keeps_its_weights():
    model = Folds().eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    snn = snnconvert.convert(model, (torch.randn(2, 1, 6, 6),), FOLD)
    assert snn.report.dtype == "float32" and snn.report.passed
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert snn.conv.weight is not model.conv.weight


def test_a_shared_map_is_not_folded():
    model = TinyCNN().eval()  # conv2 and bn2 are called twice
    snn = snnconvert.convert(model, (torch.randn(2, 1, 8, 8),), FOLD)
    assert snn.report.passed
    assert kinds(snn)["batch_norm"] == 2


def test_a_batch_norm_without_a_map_before_it_stays():
    model = nn.Sequential(nn.BatchNorm2d(1), nn.ReLU(), nn.BatchNorm2d(1)).eval()
    snn = snnconvert.convert(model, (torch.randn(2, 1, 4, 4),), FOLD)
    assert kinds(snn)["batch_norm"] == 2


def test_a_linear_map_over_tokens_is_not_folded():
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(3)).eval()  # [B, 3, 5]: channels are 3
    snnconvert.randomize_constant_weights(model)
    snn = snnconvert.convert(model, (torch.randn(2, 3, 4),), FOLD)
    assert snn.report.passed
    assert kinds(snn)["batch_norm"] == 1


def test_mutation_a_wrong_fold_fails(monkeypatch):
    from snnconvert.converter.deciding import absorb

    right = torch.sqrt
    monkeypatch.setattr(absorb.torch, "sqrt", lambda x: right(x) * 1.001)
    model = Folds().eval()
    snn = snnconvert.convert(model, (torch.randn(2, 1, 6, 6),), FOLD, verify=False)
    assert not snnconvert.verify(model, snn).passed


def test_a_saved_folded_conversion_folds_again(tmp_path):
    model, x = Folds().eval(), torch.randn(2, 1, 6, 6)
    snn = snnconvert.convert(model, (x,), FOLD, verify=False)
    snn.save(tmp_path / "a.snn")
    assert torch.equal(snnconvert.load(tmp_path / "a.snn").simulate(x), snn.simulate(x))
