"""Functions of a user's own: neurons follow them by their dotted names, or it is said why not."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.converter.calibration.file import load_calibration, save_calibration
from snnconvert.converter.calibration.tables import _refuse_undefined
from snnconvert.converter.spikes.degree import degree_of
from snnconvert.converter.spikes.own_functions import own_targets
from snnconvert.errors import CalibrationError, ConversionError, SavedFileError
from snnconvert.ops.layouts import Drives
from snnconvert.ops.targets import own_target
from snnconvert.rules import parse_rules
from tests.converter.spikes.left import see_that_tables_alone_are_left
from tests.converter.spikes.own import SoftExp

OWN = "tests.converter.spikes.own"
FILE = """
version: 1
extends: fully_spiking
rules:
  - {name: mine, match: {%s}, action: spiking, target: %s, neuron: {table: {error: %s}}}
"""


def rules_of(match="module: SoftExp", function="soft_exp", error="2.5e-4"):
    return parse_rules(FILE % (match, f"{OWN}.{function}", error), allow=["tests"])


class Twice(nn.Module):
    """A module that is called twice."""

    def __init__(self, act):
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(6, 8), nn.LayerNorm(8), nn.Linear(8, 3)
        self.act = act

    def forward(self, x):
        return self.last(self.act(self.norm(self.act(self.first(x)))))


def converted(model, rules, **options):
    torch.manual_seed(0)
    x = torch.randn(128, 6)
    return x, snnconvert.convert(model.eval(), (x,), rules, calibration=[x], **options)


def test_a_module_is_one_neuron_for_each_of_its_calls(tmp_path):
    x, snn = converted(Twice(SoftExp()), rules_of())
    spiking = snn.report.spiking
    assert snn.report.passed and snn.report.max_rel_error <= 1e-9
    assert spiking.degree == "all" and spiking.rel_error < 5e-3
    tables = {site.name: site.table for site in spiking.sites if site.table is not None}
    own = [table for name, table in tables.items() if name.startswith("act.soft_exp_neuron")]
    assert len(own) == 2 and all(table.worst <= 2.5e-4 for table in own)
    assert {"act.one"} < snn.state_dict().keys()
    snn.save(tmp_path / "own.snn")
    again = snnconvert.load(tmp_path / "own.snn", allow=["tests"])
    assert torch.equal(again.simulate(x), snn.simulate(x))
    with pytest.raises(SavedFileError, match=r"target .* would run code of the package 'tests'"):
        snnconvert.load(tmp_path / "own.snn")


def test_a_function_that_is_no_longer_there_is_the_files_fault(tmp_path, monkeypatch):
    rules, saved, file = rules_of(), tmp_path / "own.snn", tmp_path / "thresholds.safetensors"
    _, snn = converted(Twice(SoftExp()), rules, verify=False)
    snn.save(saved)
    save_calibration(snn.conversion.calibration, file)
    monkeypatch.delattr(f"{OWN}.soft_exp")
    words = rf": rule 'mine'.*: target '{OWN}\.soft_exp' cannot be imported: "
    with pytest.raises(SavedFileError, match=re.escape(str(saved)) + words):
        snnconvert.load(saved, allow=["tests"])
    with pytest.raises(CalibrationError, match=re.escape(str(file)) + words):
        load_calibration(file, rules)


def test_a_class_that_is_no_longer_there_is_the_files_fault(tmp_path, monkeypatch):
    text = "{name: mine, match: {op: relu}, action: tests.converter.spikes.own.Rectified}"
    rules = parse_rules(f"version: 1\nrules: [{text}]\n", allow=["tests"])
    model = nn.Sequential(nn.Linear(6, 3), nn.ReLU()).eval()
    x = torch.randn(4, 6)
    snn = snnconvert.convert(model, (x,), rules, verify=False)
    snn.save(tmp_path / "own.snn")
    again = snnconvert.load(tmp_path / "own.snn", allow=["tests"])
    assert torch.equal(again.simulate(x), snn.simulate(x))
    monkeypatch.delattr(f"{OWN}.Rectified")
    with pytest.raises(SavedFileError, match=r"own\.snn: .*rule 'mine'.*Rectified"):
        snnconvert.load(tmp_path / "own.snn", allow=["tests"])


def test_a_calibration_needs_the_rules_that_name_the_function(tmp_path):
    rules, file = rules_of(), tmp_path / "thresholds.safetensors"
    x, snn = converted(Twice(SoftExp()), rules)
    save_calibration(snn.conversion.calibration, file)
    found = load_calibration(file, rules)
    torch.manual_seed(0)
    again = snnconvert.convert(snn.conversion.source.program, None, rules, calibration=found)
    assert torch.equal(again.simulate(x), snn.simulate(x))
    with pytest.raises(CalibrationError, match=rf"'act.* follows '{OWN}\.soft_exp', and no rule"):
        load_calibration(file)


def test_an_operator_is_followed_by_a_function_of_ones_own():
    """What is not the source's function is found by the check, as for any rewriting."""

    class Exp(nn.Module):
        def forward(self, x):
            return x.exp()

    model = nn.Sequential(nn.Linear(6, 6), Exp(), nn.Linear(6, 3))
    rules = parse_rules(FILE % ("op: exp", "torch.special.expm1", "1e-3"), allow=["torch"])
    with pytest.warns(snnconvert.NotEquivalentWarning):
        _, snn = converted(model, rules)
    assert not snn.report.passed
    rules = parse_rules(FILE % ("op: exp", "torch.exp", "1e-3"), allow=["torch"])
    _, snn = converted(model, rules)
    assert snn.report.passed and snn.report.spiking.degree == "all"
    assert [s.target.function for s in snn.conversion.sited.sites.values()].count("torch.exp") == 1


def test_without_a_table_the_function_itself_is_followed():
    _, snn = converted(Twice(SoftExp()), rules_of(error="none"))
    assert snn.report.passed and set(snn.report.spiking.analog) == {"soft_exp"}
    see_that_tables_alone_are_left(snn)
    assert sum(s.table is not None for s in snn.report.spiking.sites) == 1  # of the norm


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("missing", r"cannot be imported: .*no attribute 'missing'"),
        ("SoftExp", "is a class, no function"),
        ("NOT_CALLABLE", "is of type int, no function"),
        ("two", r"takes \(x, y\), not one tensor"),
        ("centred", "is not elementwise"),
        ("placed", "is not elementwise"),
        ("summed", "is not elementwise"),
        ("flat", r"returns shape \(240,\) for shape \(3, 5, 16\)"),
        ("narrow", r"returns torch\.float32 for torch\.float64"),
        ("noisy", "returns other values when it is called again"),
        ("writes", "changes the tensor that it is given"),
        ("nothing", "returns a value of type NoneType, no tensor"),
        ("no_number", "has no finite value for drives from -8 to 8"),
        ("raises", r"cannot be called with a tensor of drives \(RuntimeError: not today\)"),
    ],
)
def test_what_no_neuron_can_follow_is_told(function, words):
    with pytest.raises(
        ConversionError, match=rf"rule 'mine'.*: target '{OWN}\.{function}' {words}"
    ):
        own_targets(rules_of(function=function).rules)


def test_a_module_that_is_not_there_is_told():
    rules = parse_rules(FILE % ("op: exp", "tests.nowhere.f", "none"), allow=["tests"])
    with pytest.raises(ConversionError, match=r"cannot be imported: No module named .*working dir"):
        own_targets(rules.rules)


def test_rules_that_take_nothing_run_no_code():
    rules = rules_of("module: Other", "raises")
    _, snn = converted(nn.Sequential(nn.Linear(6, 3)), rules, verify=False)
    assert degree_of(snn.conversion.sited, snn.conversion.decided) == "all"


@pytest.mark.parametrize("error", ["1e-3", "none"])
def test_a_function_without_a_value_where_it_is_driven_is_told(error):
    class Root(nn.Module):
        def forward(self, x):
            return torch.where(x < 0, 0.0, x.sqrt())

    model = nn.Sequential(nn.Linear(6, 6), Root(), nn.Linear(6, 3))
    with pytest.raises(CalibrationError, match=r"\.root, which is not a finite number at -.*seen"):
        converted(model, rules_of("module: '*Root'", "root", error), verify=False)


class Shifted(nn.Module):
    """Drives a function from far away."""

    def __init__(self, shift, scale):
        super().__init__()
        self.map, self.last = nn.Linear(6, 6), nn.Linear(6, 3)
        self.shift, self.scale = shift, scale

    def forward(self, x):
        return self.last((self.map(x) * self.scale + self.shift).reciprocal())


def test_a_function_that_no_finite_value_drives_has_no_table():
    model = Shifted(-torch.inf, 1.0)
    rules = parse_rules(FILE % ("op: reciprocal", "torch.reciprocal", "none"), allow=["torch"])
    x, snn = converted(model, rules, verify=False)
    torch.testing.assert_close(snn.simulate(x)[-1], model(x), rtol=1e-2, atol=1e-2)
    rules = parse_rules(FILE % ("op: reciprocal", "torch.reciprocal", "1e-3"), allow=["torch"])
    with pytest.raises(CalibrationError, match=r"follows torch\.reciprocal, and no finite drive"):
        converted(model, rules, verify=False)


def test_drives_may_be_as_far_apart_as_floats_are():
    drives = Drives(-1.7e308, 1.7e308)
    target = own_target("torch.tanh", torch.tanh)
    undefined = own_target("torch.log", torch.log)
    site = SimpleNamespace(target=target, name="one", rule="mine")
    _refuse_undefined(site, drives, None)
    with pytest.raises(CalibrationError, match=r"not a finite number at -1\.7e\+308"):
        _refuse_undefined(SimpleNamespace(**{**vars(site), "target": undefined}), drives, None)
