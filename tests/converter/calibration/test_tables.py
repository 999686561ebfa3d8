"""Tables at sites: made where rules ask for them, of the drives that calibration saw."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.converter.calibration.calibrate import Calibration
from snnconvert.converter.calibration.file import load_calibration, save_calibration
from snnconvert.converter.calibration.observe import Observed
from snnconvert.converter.reports.spiking_tables import tables_of
from snnconvert.errors import CalibrationError
from snnconvert.ops.layouts import Drives
from snnconvert.rules import parse_rules

RULES = """\
version: 1
extends: fully_spiking
neuron: {table: {%s}}
"""


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 4)

    def forward(self, x):
        h = self.first(x)
        return self.last(torch.tanh(h) * torch.rsqrt(h.square().mean(-1, keepdim=True) + 0.1))


@pytest.fixture(name="x")
def _x():
    return torch.randn(40, 6, generator=torch.Generator().manual_seed(0))


def converted(x, text="error: 1.0e-3", calibration=None, model=None):
    torch.manual_seed(1)
    model = (Gated() if model is None else model).eval()
    data = [x[:20], x[20:]] if calibration is None else calibration
    return snnconvert.convert(model, (x[:4],), rules=parse_rules(RULES % text), calibration=data)


def tables(snn):
    """By function, the tables of a conversion's neurons."""
    neurons = [snn.tree.get_submodule(path) for path in snn.conversion.neurons.values()]
    return {n.target.name: n.target.table for n in neurons if n.target.function}


def test_tables_are_made_of_the_drives_that_were_seen(x):
    snn = converted(x, "error: 1.0e-3, margin: 1.5")
    made = tables(snn)
    assert set(made) == {"tanh", "rsqrt"}
    with torch.no_grad():
        torch.manual_seed(1)
        h = Gated().first(x)
        v = h.square().mean(-1) + 0.1
    seen = made["tanh"].drives
    assert (seen.low, seen.high) == pytest.approx((float(h.min()), float(h.max())), rel=1e-5)
    assert made["rsqrt"].drives.least == pytest.approx(float(v.min()), rel=1e-5)
    assert made["tanh"].above.at == pytest.approx(1.5 * float(h.abs().max()), rel=1e-5)
    assert all(table.worst <= table.error == 1e-3 for table in made.values())


def test_no_rule_no_table(x):
    assert set(tables(converted(x, "error: none")).values()) == {None}
    torch.manual_seed(1)
    rules = parse_rules(
        "version: 1\nextends: default\nrules: [{name: f, match: {op: tanh}, action: spiking}]\n"
    )
    snn = snnconvert.convert(Gated().eval(), (x[:4],), rules=rules, calibration=[x])
    assert tables(snn) == {"tanh": None}
    assert snn.report.spiking.tables_error is None
    assert not any("table of" in found.table[0] for found in tables_of(snn.report.spiking))


def test_a_table_goes_with_its_conversion(x, tmp_path):
    snn = converted(x)
    wanted = snn.simulate(x)
    for other in (copy.deepcopy(snn), pickle.loads(pickle.dumps(snn))):
        assert torch.equal(other.simulate(x), wanted)
    snn.save(tmp_path / "a.snn")
    loaded = snnconvert.load(tmp_path / "a.snn")
    assert tables(loaded) == tables(snn) and torch.equal(loaded.simulate(x), wanted)
    for name, table in tables(loaded).items():
        assert torch.equal(table.entries, tables(snn)[name].entries)
    assert str(loaded.report.spiking) == str(snn.report.spiking)  # as recorded


def test_a_table_goes_with_its_calibration(x, tmp_path):
    snn = converted(x)
    save_calibration(snn.conversion.calibration, tmp_path / "c.safetensors")
    found = load_calibration(tmp_path / "c.safetensors")
    again = converted(x, calibration=found)
    assert tables(again) == tables(snn)
    assert torch.equal(again.simulate(x), snn.simulate(x))


class Stepped(nn.Module):
    """Functions that have no table, as they compare, and that have one of segments."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 4)

    def forward(self, x):
        h = self.first(x)
        return self.last(torch.floor(3 * h) + torch.asinh(h) + torch.acosh(h.square() + 1))


def test_what_compares_goes_without_a_table(x, tmp_path):
    snn = converted(x, model=Stepped())
    assert snn.report.passed and snn.report.spiking.degree == "all"
    found = tables(snn)
    assert found.pop("floor") is None and set(found) == {"acosh", "asinh"} and all(found.values())
    snn.save(tmp_path / "stepped.snn")
    again = snnconvert.load(tmp_path / "stepped.snn")
    assert torch.equal(again.simulate(x), snn.simulate(x))


@pytest.mark.parametrize(
    ("made", "wanted", "words"),
    [
        ("error: none", "error: 1.0e-3", "error=none, and the rule says error=0.001 and margin="),
        (
            "error: 1.0e-3",
            "error: none",
            "error=0.001 and margin=1.25, and the rule says error=none",
        ),
        ("error: 1.0e-2", "error: 1.0e-3", "error=0.01 .* says error=0.001 "),
        ("error: 0.01, margin: 2", "error: 0.01", "error=0.01 and margin=2, .* margin=1.25"),
    ],
)
def test_a_calibration_with_another_table_is_told(x, made, wanted, words):
    found = converted(x, made).conversion.calibration
    with pytest.raises(CalibrationError, match=f"it has a table with {words}"):
        converted(x, wanted, calibration=found)


class Tan(nn.Module):
    """A function with poles among its drives."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 4)

    def forward(self, x):
        return self.last(torch.tan(3 * self.first(x)))


def test_a_function_with_a_pole_is_told_with_its_place(x):
    words = (
        r"the neuron 'tan_neuron' \(rule 'functions and clips'\) follows tan: a table of at most"
    )
    with pytest.raises(CalibrationError, match=words):
        converted(x, "error: 1.0e-7", model=Tan())


def test_a_bound_of_the_package_that_no_table_keeps_leaves_the_function(x, tmp_path):
    torch.manual_seed(1)
    model, data = Tan().eval(), [x[:20], x[20:]]
    snn = snnconvert.convert(model, (x[:4],), rules="fully_spiking", calibration=data)
    assert tables(snn) == {"tan": None}
    assert snn.report.spiking.degree == "maps"
    assert any("follows tan itself, without a table" in note for note in snn.report.notes)
    snn.save(tmp_path / "tan.snn")
    loaded = snnconvert.load(tmp_path / "tan.snn")
    assert torch.equal(loaded.simulate(x), snn.simulate(x))
    save_calibration(snn.conversion.calibration, tmp_path / "c.safetensors")
    found = load_calibration(tmp_path / "c.safetensors")
    again = snnconvert.convert(model, (x[:4],), rules="fully_spiking", calibration=found)
    assert torch.equal(again.simulate(x), snn.simulate(x))


def test_what_drives_a_function_is_seen_without_masks():
    observed = Observed("exp", ())
    assert observed.drives is None
    observed.see_drive(torch.tensor([-float("inf"), -2.0, 0.0]))
    observed.see_drive(torch.tensor([-float("inf")]))
    observed.see_drive(torch.tensor([-3.0, 0.5]))
    assert observed.drives == Drives(-3.0, 0.5, 0.5)


def damaged(snn, tmp_path, **changes):
    fitted = dict(snn.conversion.calibration.fitted)
    name = next(name for name, f in fitted.items() if f.target.table)
    table = fitted[name].target.table
    for key, value in changes.items():
        object.__setattr__(table, key, value)
    save_calibration(Calibration(fitted), tmp_path / "c.safetensors")
    return load_calibration(tmp_path / "c.safetensors")


@pytest.mark.parametrize(
    "changes",
    [
        {"error": "small"},
        {"error": 0.0},
        {"error": float("nan")},
        {"error": 1e-12},
        {"margin": -1.0},
        {"drives": Drives(1.0, 0.0, 1.0)},
        {"drives": Drives(-1e300, 1e300, 1.0)},
        {"drives": Drives("a", 1.0, 1.0)},
    ],
)
def test_a_damaged_table_is_told(x, tmp_path, changes):
    with pytest.raises(CalibrationError, match="is damaged"):
        damaged(converted(x), tmp_path, **changes)
