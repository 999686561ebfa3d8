"""The increment form: it comes to what the network answers, and what it runs is judged."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
import transformers.integrations.moe  # registers an operator of experts
from torch import nn

from snnconvert.converter.verification.events import prove_spikes
from snnconvert.ops.linear import TDLinear
from snnconvert.ops.targets import Target
from snnconvert.ops.temporal_difference import TDOperator
from snnconvert.torch_private import children_of
from tests.converter.conftest import TinyCNN, TinyViT
from tests.converter.spikes.apart.test_wholly import OPERATORS
from tests.converter.verification.events.networks import Around, on_spikes, proven, rules

assert transformers.integrations.moe


@pytest.fixture(name="x")
def _x():
    torch.manual_seed(0)
    return torch.randn(24, 5, 6)


@pytest.mark.parametrize("name", OPERATORS)
def test_every_operator_passes(name, x):
    assert proven(on_spikes(OPERATORS[name](), x), x) == ()


NEURONS = {
    "bursts": "neuron: {type: multi_threshold, levels: 20, per_octave: 4, bursts: 3}",
    "one level per octave": "neuron: {type: multi_threshold, levels: 8, per_octave: 1}",
    "rest": "neuron: {type: multi_threshold, threshold: {rest: mean, per: channel}}",
    "st_bif": "neuron: {type: st_bif}",
    "sigma_delta": "neuron: {type: sigma_delta}",
    "a share at each step": "encoding: constant",
}


@pytest.mark.parametrize("operator", ["layer_norm", "attention", "gru"])
@pytest.mark.parametrize("name", NEURONS)
def test_every_neuron_passes(name, operator, x, tmp_path):
    snn = on_spikes(OPERATORS[operator](), x, rules(tmp_path, NEURONS[name]))
    assert proven(snn, x) == ()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["layer_norm", "attention", "lstm"])
def test_every_dtype_passes(name, dtype, x):
    snn = on_spikes(OPERATORS[name](), x).to(dtype)
    assert prove_spikes(snn).violations == ()


@pytest.mark.parametrize(("model", "shape"), [(TinyViT, (1, 4, 4)), (TinyCNN, (1, 8, 8))])
def test_networks_pass(model, shape):
    x = torch.randn(16, *shape)
    snn = on_spikes(model(), x)
    assert len(snn.conversion.neurons) > 3 and proven(snn, x) == ()


ALLOWED = {
    "residuals of inputs, halved": lambda m, x: (x + m(x)) * 0.5,
    "a factor before a neuron": lambda m, x: m((x + m(x)) * 0.3),
    "features scaled before a neuron": lambda m, x: m(x * m.bias - 1),
    "a mean of a map": lambda m, x: m(x).mean(1) + x[:, 0],
    "a product that is added": lambda m, x: torch.addcmul(m(x), m(x), x + 1),
    "a selection": lambda m, x: torch.where(m(x) > 0.1, m(x), 0.3 * m(x)),
    "a maximum": lambda m, x: m(x).topk(2).values * 0.3,
    "a look-up": lambda m, x: F.embedding(m(x).argmax(-1), m.weight),
    "an input as it is": lambda m, x: (x, m(x).chunk(2, -1)),
    "a mask": lambda m, x: (x + m(x)).masked_fill(torch.eye(5, 6, dtype=torch.bool), -1e4),
    "a mask that changes": lambda m, x: m(
        m(x).masked_fill(m(x) < m(x).mean(-1, keepdim=True), -torch.inf).mT.sigmoid().mT
    ),
    "what a mask that changes left is scaled": lambda m, x: m(
        (m(x).masked_fill(m(x) < m(x).mean(-1, keepdim=True), -torch.inf) * 0.5).sigmoid()
    ),
    "a mask times a value": lambda m, x: m(m(x) * (m(x) > 0.1)),
    "a value times a mask of an input": lambda m, x: (x > 0.1) * m(x),
    "an input times a mask": lambda m, x: x * (m(x) > 0.1),
    "a mask of numbers times a value": lambda m, x: (m(x) > 0.1).to(x.dtype) * m(x),
    "constants in front": lambda m, x: m(F.pad(m(x), (0, 0, 1, 0), value=0.7)),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_allowed(name, x):
    assert proven(on_spikes(Around(ALLOWED[name]), x), x) == ()


class Experts(nn.Module):
    """Rows that each go to the expert of its choice."""

    def __init__(self, rectified):
        super().__init__()
        torch.manual_seed(0)
        self.router, self.rectified = nn.Linear(6, 3), rectified
        self.weight = nn.Parameter(torch.randn(3, 6, 6))

    def forward(self, x):
        rows = x.flatten(0, 1)
        choice = self.router(rows).argmax(-1)
        order = choice.argsort(stable=True)
        groups = torch.histc(choice.float(), 3, 0, 2)
        sorted_rows = rows[order].relu() if self.rectified else rows[order]
        operator = torch.ops.transformers.grouped_mm_fallback
        found = operator(sorted_rows, self.weight, groups.cumsum(0, dtype=torch.int32))
        return found[order.argsort()].view(x.shape)


@pytest.mark.parametrize("encoding", ["at_once", "constant"])
@pytest.mark.parametrize("rectified", [False, True])
def test_rows_may_change_their_expert(encoding, rectified, x, tmp_path):
    options = f"encoding: {encoding}\ntime_steps: 3"
    assert proven(on_spikes(Experts(rectified), x, rules(tmp_path, options)), x) == ()


def test_rows_that_meet_an_expert_without_spikes_are_named(x, tmp_path):
    text = "rules: [{name: floats, match: {op: grouped_mm}, action: td}]"
    snn = on_spikes(Experts(rectified=False), x, rules(tmp_path, text))
    (found,) = proven(snn, x)
    assert found.ran.operator == "transformers.grouped_mm_fallback.default"


def test_what_slips_in_is_named(x):
    (found,) = proven(on_spikes(Around(lambda m, x: m(torch.special.i0(m(x)))), x), x)
    assert (found.ran.node, found.ran.operator) == ("special_i0", "aten.i0.default")


@pytest.mark.parametrize(
    ("op", "function", "operator"),
    [
        ("gelu", lambda m, x: m(F.gelu(m(x))), "aten.gelu.default"),
        ("div", lambda m, x: m(x) / (2 + m(x).sigmoid()), "aten.div.Tensor"),
        ("mul", lambda m, x: m(x) * m(x).sigmoid(), "aten.mul.Tensor"),
        ("softmax", lambda m, x: m(m(x).softmax(-1)), "aten._softmax.default"),
        ("mul", lambda m, x: (x + m(x)) * 0.3, "aten.mul.Tensor"),
        ("mean", lambda m, x: m(x) + x.mean(1, keepdim=True), "aten.mean.dim"),
        (
            "scaled_dot_product_attention",
            lambda m, x: m(F.scaled_dot_product_attention(m(x), m(x), x)),
            "aten._scaled_dot_product_flash_attention_for_cpu.default",
        ),
    ],
)
def test_what_a_rule_leaves_in_floats_is_named(op, function, operator, x, tmp_path):
    left = f"rules: [{{name: left, match: {{op: {op}}}, action: td}}]"
    (found,) = proven(on_spikes(Around(function), x, rules(tmp_path, left)), x)
    assert (found.ran.node, found.ran.operator) == (op, operator)


class Product(TDOperator):
    """An operator of one's own that multiplies two streams, whatever stood there."""

    def __init__(self):
        super().__init__()

    @classmethod
    def from_call(cls, **literals):
        return cls()

    def cumulative(self, a, b):
        return a * b


def test_an_operator_of_ones_own_is_looked_into(x, tmp_path):
    own = f"{Product.__module__}.Product"
    text = f"rules: [{{name: own, match: {{op: mul}}, action: {own}}}]"
    model = Around(lambda m, x: m(x) * m(x + 1))
    snn = on_spikes(model, x, rules(tmp_path, text), allow=[__name__.partition(".")[0]])
    found = [(v.ran.node, v.ran.operator) for v in proven(snn, x)]
    assert found == [("mul", "aten.mul.Tensor"), ("mul", "class Product")]


def replaced(snn, path, module):
    parent, _, name = path.rpartition(".")
    children_of(snn.tree.get_submodule(parent))[name] = module


class Cheating(nn.Module):
    """Says that it is a neuron, and computes."""

    def track(self, x, *where):
        return x * x


def test_a_module_that_claims_to_be_a_neuron(x):
    snn = on_spikes(Around(lambda m, x: m(F.gelu(m(x)))), x)
    (path,) = [p for p in snn.conversion.neurons.values() if "gelu" in p]
    replaced(snn, path, Cheating())
    found = [v.ran.operator for v in proven(snn, x)]
    assert found == [
        "aten.mul.Tensor",
        "class Cheating",
        "aten.addmm.default",
    ]  # what it emits are no spikes


class Square(Target):
    def exact(self, drive):
        return drive * drive


def test_a_target_that_computes(x):
    snn = on_spikes(Around(lambda m, x: m(F.gelu(m(x)))), x)
    (path,) = [p for p in snn.conversion.neurons.values() if "gelu" in p]
    snn.tree.get_submodule(path).target = Square()
    found = proven(snn, x)
    assert [v.ran.operator for v in found] == ["target of type Square", "aten.mul.Tensor"]
    assert {v.ran.node for v in found} == {"gelu"}


def test_a_neuron_that_emits_what_is_no_level(x):
    snn = on_spikes(Around(lambda m, x: m(x).relu()), x)
    (path,) = [p for p in snn.conversion.neurons.values() if "relu" in p]
    snn.tree.get_submodule(path).advance = lambda drive, state, start: drive
    (found,) = proven(snn, x)
    assert (found.ran.node, found.ran.operator) == ("relu", "neuron MultiThreshold")


def test_a_multiplication_hidden_in_a_linear_layer(x, monkeypatch):
    real = TDLinear.cumulative
    monkeypatch.setattr(TDLinear, "cumulative", lambda self, x: real(self, x * (x + 1)))
    snn = on_spikes(Around(lambda m, x: m(x).relu()), x)
    found = {(v.ran.node, v.ran.operator) for v in prove_spikes(snn).violations}
    assert ("linear", "aten.mul.Tensor") in found


def test_what_is_computed_outside_of_torch(x, monkeypatch):
    real = TDLinear.cumulative
    monkeypatch.setattr(
        TDLinear, "cumulative", lambda self, x: torch.from_numpy(real(self, x).numpy().copy())
    )
    snn = on_spikes(Around(lambda m, x: m(x).relu()), x)
    (found,) = prove_spikes(snn).violations
    assert found.ran.node == "linear" and "nothing is seen" in found.why
