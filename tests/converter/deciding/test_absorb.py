from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

import snnconvert
from snnconvert.converter.deciding import absorb
from tests.converter.conftest import TinyCNN

ABSORB = replace(snnconvert.load_rules("default"), absorb_batch_norm=True)


class Absorbs(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3)
        self.fc, self.bn1 = nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4, affine=False)
        snnconvert.randomize_constant_weights(self)

    def forward(self, x):
        return self.bn1(self.fc(self.bn(self.conv(x)).relu().mean((2, 3))))


def kinds(snn):
    return {row.kind: row.nodes for row in snn.report.kinds}


def test_absorbing_is_equivalent_and_leaves_no_batch_norm():
    model = Absorbs().eval().double()
    snn = snnconvert.convert(model, (torch.randn(2, 1, 6, 6).double(),), ABSORB)
    assert snn.report.passed
    assert "batch_norm" not in kinds(snn)
    assert set(snn.state_dict()) == {"conv.weight", "conv.bias", "fc.weight", "fc.bias"}
    exact = snnconvert.verify(model, snn, dtype=torch.float64)
    assert exact.passed and exact.max_rel_error < 1e-12


def test_the_source_keeps_its_weights():
    model = Absorbs().eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    snn = snnconvert.convert(model, (torch.randn(2, 1, 6, 6),), ABSORB)
    assert snn.report.dtype == "float64" and snn.report.passed
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert snn.conv.weight is not model.conv.weight


def test_a_shared_map_absorbs_nothing():
    model = TinyCNN().eval()  # conv2 and bn2 are called twice
    snn = snnconvert.convert(model, (torch.randn(2, 1, 8, 8),), ABSORB)
    assert snn.report.passed
    assert kinds(snn)["batch_norm"] == 2


def test_a_batch_norm_without_a_map_before_it_stays():
    model = nn.Sequential(nn.BatchNorm2d(1), nn.ReLU(), nn.BatchNorm2d(1)).eval()
    snn = snnconvert.convert(model, (torch.randn(2, 1, 4, 4),), ABSORB)
    assert kinds(snn)["batch_norm"] == 2


def test_a_linear_map_over_tokens_absorbs_nothing():
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(3)).eval()  # [B, 3, 5]: channels are 3
    snnconvert.randomize_constant_weights(model)
    snn = snnconvert.convert(model, (torch.randn(2, 3, 4),), ABSORB)
    assert snn.report.passed
    assert kinds(snn)["batch_norm"] == 1


def test_mutation_what_is_absorbed_wrongly_fails(monkeypatch):
    right = torch.sqrt
    monkeypatch.setattr(absorb.torch, "sqrt", lambda x: right(x) * 1.001)
    model = Absorbs().eval()
    snn = snnconvert.convert(model, (torch.randn(2, 1, 6, 6),), ABSORB, verify=False)
    assert not snnconvert.verify(model, snn).passed


def test_a_saved_conversion_absorbs_again(tmp_path):
    model, x = Absorbs().eval(), torch.randn(2, 1, 6, 6)
    snn = snnconvert.convert(model, (x,), ABSORB, verify=False)
    snn.save(tmp_path / "a.snn")
    assert torch.equal(snnconvert.load(tmp_path / "a.snn").simulate(x), snn.simulate(x))


def test_statistics_that_are_used_elsewhere_stay():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.bn = nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)

        def forward(self, x):
            return self.bn(self.conv(x)) + self.bn(x)

    model = Shared().eval()
    snnconvert.randomize_constant_weights(model)
    snn = snnconvert.convert(model, (torch.randn(2, 2, 4, 4),), ABSORB)
    assert snn.report.passed and snn.report.tolerance == 1e-9
    assert set(snn.state_dict()) == set(model.state_dict())


def test_a_changed_weight_is_not_absorbed_again_for_the_check():
    model = Absorbs().eval()
    snn = snnconvert.convert(model, (torch.randn(2, 1, 6, 6),), ABSORB)
    with torch.no_grad():
        snn.fc.weight.mul_(1.001)
    assert not snnconvert.verify(model, snn).passed


def test_a_map_that_absorbed_is_read_by_a_product_of_another():
    """What a rule or a neuron asks of any node is known of the new bias, too."""

    class Linear(nn.Module):
        def __init__(self):
            super().__init__()
            self.expand, self.bn = nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4)
            self.project = nn.Conv2d(4, 2, 1)

        def forward(self, x):
            return self.project(self.bn(self.expand(x)))

    x = torch.randn(2, 3, 5, 5)
    model = Linear().eval()
    snnconvert.randomize_constant_weights(model)
    for rules in ("spiking", "fully_spiking"):
        snn = snnconvert.convert(model, (x,), rules, calibration=[x])
        assert snn.report.passed and "batch_norm" not in kinds(snn)
