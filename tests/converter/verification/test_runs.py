"""What is concluded where one side of a comparison raises."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.converter.verification.node_errors import NodeErrors
from snnconvert.errors import VerificationError
from snnconvert.ops.activation import TDReLU
from snnconvert.rules import parse_rules

RULES = """
version: 1
rules:
  - {name: own, match: {op: relu}, action: tests.converter.verification.test_runs.%s}
"""


class Rectified(nn.Module):
    def __init__(self):
        super().__init__()
        self.map = nn.Linear(6, 3)

    def forward(self, x):
        return self.map(torch.relu(x))


class Refuses(TDReLU):
    """Right where nothing is negative, and of no use elsewhere."""

    def cumulative(self, x):
        if bool((x < 0).any()):
            raise RuntimeError("nothing negative")
        return x


class Unknown(TDReLU):
    """Raises what no tensor operation would."""

    def cumulative(self, x):
        return x if not bool((x < 0).any()) else {}["negative"]


class Folded(TDReLU):
    """Works on one step alone, once it has been converted."""

    alone = False

    def cumulative(self, x):
        if self.alone and len(x) != 4:
            raise AssertionError("one step at a time")
        return torch.relu(x)


class Twice(TDReLU):
    """Gives two values for one."""

    def cumulative(self, x):
        return torch.relu(x), x


def converted(name, model=None, **how):
    rules = parse_rules(RULES % name, allow=["tests"])
    x = torch.rand(4, 6)  # the signs are kept on the second try
    return snnconvert.convert(model or Rectified().eval(), (x,), rules, **how)


@pytest.mark.parametrize(
    ("name", "raised"),
    [
        ("Refuses", "RuntimeError: nothing negative"),
        ("Unknown", "KeyError: 'negative'"),
    ],
)
def test_a_conversion_that_raises_where_its_source_does_not_is_not_called_equivalent(name, raised):
    said = f"its source does: 'relu' (relu at the root, rule 'own' (<string>:4)) raises {raised}"
    with pytest.raises(VerificationError, match=re.escape(said)) as error:
        converted(name)
    assert type(error.value.__cause__).__name__ == raised.partition(":")[0]


def test_a_conversion_that_raises_as_one_run_alone_is_named():
    snn = converted("Folded", verify=False)
    snn.relu.alone = True
    with pytest.raises(VerificationError, match=r"as one run, it raises AssertionError: one step"):
        snnconvert.verify(None, snn)


def test_another_number_of_values_than_the_sources_is_the_conversions_fault():
    with pytest.raises(VerificationError, match=r"^the conversion does not run on"):
        converted("Twice")


class Rooted(Rectified):
    def forward(self, x):
        return super().forward(x.sqrt())


class Embedded(Rectified):
    def __init__(self):
        super().__init__()
        self.rows = nn.Embedding(8, 3)

    def forward(self, x):
        return super().forward(x) + self.rows((8 * x[..., 0]).long())


@pytest.mark.parametrize("model", [Rooted, Embedded])
def test_where_the_source_works_on_no_other_signs_they_are_kept_and_the_report_says_so(model):
    report = converted("Refuses", model().eval()).report
    assert report.passed and report.keeps_signs
    assert "steps of random increments (inputs keep their signs) in float64" in str(report)
    assert "signed" not in report.verdict()


def test_a_run_on_both_signs_is_called_signed():
    report = snnconvert.convert(Rectified().eval(), (torch.rand(4, 6),)).report
    assert report.passed and not report.keeps_signs
    assert "steps of random signed increments" in report.verdict()
    assert not type(report).from_dict({**report.to_dict(), "keeps_signs": False}).keeps_signs


def test_the_first_node_above_a_tolerance():
    assert NodeErrors({"a": 0.0, "b": 1.0, "c": 2.0}).first_above(0.5) == "b"
    assert NodeErrors({"a": 0.0}).first_above(0.5) is None
