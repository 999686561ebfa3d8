from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import snnconvert
from snnconvert.errors import ConversionError, RuleError
from snnconvert.ops import TDLinear, TDOperator


class CappedRoll(TDOperator):
    """A user's operator for an ATen operator that has no kind of its own."""

    def __init__(self, shifts, dims):
        super().__init__()
        self.shifts, self.dims = shifts, dims

    def cumulative(self, x):
        return torch.roll(x, self.shifts, self.dims)

    @classmethod
    def from_call(cls, *, shifts, dims):
        return cls(shifts, dims)


class OffByOne(TDLinear):
    """A user's operator that is wrong."""

    def cumulative(self, x):
        return super().cumulative(x) + 1e-3


class NoOperator:
    pass


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.out = nn.Linear(4, 4)
        self.out.weight = self.fc.weight
        self.scale = nn.Parameter(torch.randn(4, 4))

    def forward(self, x):
        x = torch.roll(self.fc(x), 1, 1)
        x = F.gelu(F.linear(x, self.scale))  # a parameter that is no module's own weight
        x = F.gelu(x)
        return self.out(x)


INPUT = (torch.randn(2, 4),)


def rules(tmp_path, match, action):
    path = tmp_path / "r.yaml"
    path.write_text(
        "version: 1\nextends: default\nrules:\n"
        f"  - {{name: mine, match: {match}, action: {action}}}\n"
    )
    return snnconvert.load_rules(path, allow=["tests"])


HERE = "tests.converter.building.test_install"


def test_functional_calls_get_names_beside_their_modules_children():
    snn = snnconvert.convert(Net().eval(), INPUT)
    names = {path: type(m).__name__ for path, m in snn.named_modules() if path}
    assert names == {"fc": "TDLinear", "out": "TDLinear", "gelu": "TDGELU", "gelu_1": "TDGELU"}
    assert snn.report.passed


def test_tied_weights_stay_tied():
    model = Net().eval()
    snn = snnconvert.convert(model, INPUT, verify=False)
    assert snn.fc.weight is snn.out.weight is model.fc.weight


def test_a_class_of_the_users_takes_a_node(tmp_path):
    mine = rules(tmp_path, "{op: roll}", f"{HERE}.CappedRoll")
    snn = snnconvert.convert(Net().eval(), INPUT, mine)
    assert isinstance(snn.roll, CappedRoll)
    assert snn.report.passed
    assert any(row.action == f"{HERE}.CappedRoll" for row in snn.report.kinds)


def test_mutation_a_wrong_class_of_the_users_fails(tmp_path):
    mine = rules(tmp_path, "{op: linear, path: fc}", f"{HERE}.OffByOne")
    with pytest.warns(snnconvert.NotEquivalentWarning):
        snn = snnconvert.convert(Net().eval(), INPUT, mine)
    assert snn.report.first_failure == "linear"
    assert snn.state_dict().keys() == Net().state_dict().keys()


@pytest.mark.parametrize(
    ("match", "action", "words"),
    [
        ("{op: linear, path: fc}", "NoOperator", "not a class that derives from"),
        ("{op: linear, path: fc}", "Missing", "cannot be imported"),
        ("{op: linear, path: ''}", "OffByOne", "not parameters of its own module"),
        ("{op: gelu}", "CappedRoll", "unexpected keyword|approximate"),
    ],
)
def test_a_class_that_cannot_stand_for_a_node_is_told(tmp_path, match, action, words):
    text = match.replace(", path: ''", ", where: {out_features: 4, in_features: 4}")
    mine = rules(tmp_path, text, f"{HERE}.{action}")
    with pytest.raises(ConversionError, match=words) as error:
        snnconvert.convert(Net().eval(), INPUT, mine)
    assert "rule 'mine'" in str(error.value)


def test_a_class_of_a_package_that_is_not_allowed_is_refused(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("version: 1\nrules:\n  - {name: a, match: {op: roll}, action: os.path.join}\n")
    with pytest.raises(RuleError, match="allow"):
        snnconvert.convert(Net().eval(), INPUT, path)


def test_an_operator_of_the_working_directory_is_found(tmp_path, monkeypatch):
    name = f"own_{tmp_path.name}".replace("-", "_")
    code = "from snnconvert.ops import TDLinear\n\n\nclass Ours(TDLinear):\n    pass\n"
    (tmp_path / f"{name}.py").write_text(code)
    rule = f"{{name: a, match: {{op: linear}}, action: {name}.Ours}}"
    (tmp_path / "r.yaml").write_text(f"version: 1\nextends: default\nrules:\n - {rule}\n")
    monkeypatch.chdir(tmp_path)
    model, x = nn.Sequential(nn.Linear(4, 3), nn.ReLU()).eval(), torch.randn(2, 4)
    with pytest.raises(RuleError):
        snnconvert.convert(model, (x,), tmp_path / "r.yaml")
    snn = snnconvert.convert(model, (x,), tmp_path / "r.yaml", allow=[name])
    assert snn.report.passed and type(snn.get_submodule("0")).__name__ == "Ours"


class Sum(TDOperator):
    def cumulative(self, *terms):
        return sum(terms)

    @classmethod
    def from_call(cls, **literals):
        assert not any(isinstance(value, torch.fx.Node) for value in literals.values())
        return cls()


class Joined(TDOperator):
    def cumulative(self, parts, other=None):
        return torch.cat(parts, -1)

    @classmethod
    def from_call(cls, *, dim):
        return cls()


@pytest.mark.parametrize(
    ("kind", "own", "model"),
    [
        ("add", "Sum", lambda x: x.tanh() + x.sigmoid()),
        ("cat", "Joined", lambda x: torch.cat([x.tanh(), x.sigmoid()], -1)),
    ],
)
def test_a_class_of_ones_own_stands_for_what_takes_several_streams(tmp_path, kind, own, model):
    class Net(nn.Module):
        def forward(self, x):
            return model(x)

    path = rules(tmp_path, f"{{op: {kind}}}", f"{__name__}.{own}")
    snn = snnconvert.convert(Net().eval(), INPUT, path, allow=[__name__.partition(".")[0]])
    assert own in [type(module).__name__ for module in snn.modules()]
    assert snn.report.passed
