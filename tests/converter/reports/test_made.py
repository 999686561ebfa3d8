from __future__ import annotations

import hashlib
from dataclasses import replace

import torch
from torch import nn

import snnconvert
from snnconvert.converter.calibration.file import dump_calibration
from snnconvert.converter.reports.made import made_of
from snnconvert.rules import parse_rules
from snnconvert.version import __version__
from tests.converter.conftest import TinyCNN


def test_what_is_needed_to_make_a_report_again():
    x = torch.randn(2, 1, 8, 8)
    snn = snnconvert.convert(TinyCNN().eval(), (x,), "spiking", verify=False)
    made = snnconvert.verify(None, snn, seed=7).made
    assert (made.model, made.seed, made.command) == ("TinyCNN", 7, "")
    assert made.versions["snnconvert"] == __version__
    assert made.versions["torch"] == torch.__version__
    assert made == made_of(snn.conversion, 7)
    assert parse_rules("\n".join(made.rules), origin="report").rules == snn.conversion.rules.rules
    data = dump_calibration(snn.conversion.calibration)
    assert made.calibration == hashlib.sha256(data).hexdigest()


def test_other_thresholds_have_another_hash():
    x = torch.randn(4, 3)
    net = nn.Linear(3, 2).eval()
    one, same, other = (
        snnconvert.convert(net, (x,), "spiking", calibration=[scale * x], verify=False)
        for scale in (1.0, 1.0, 2.0)
    )
    first = made_of(one.conversion, 0)
    assert first == made_of(same.conversion, 0)
    assert first.calibration != made_of(other.conversion, 0).calibration


def test_without_neurons_and_without_a_class_there_is_none_to_name():
    snn = snnconvert.convert(TinyCNN().eval(), (torch.randn(2, 1, 8, 8),), verify=False)
    assert made_of(snn.conversion, 0).calibration == ""
    for node in snn.conversion.source.graph.nodes:
        node.meta.pop("nn_module_stack", None)
    assert made_of(replace(snn.conversion), 0).model == ""
