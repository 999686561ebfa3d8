"""What a spiking conversion leaves in floats is said, with the reason; nothing else is."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import snnconvert
from snnconvert.errors import RuleError
from snnconvert.rules import parse_rules

FEW = """
version: 1
extends: default
time_steps: 2
rules:
  - {name: first alone, match: {op: linear, path: "0"}, action: spike_operands}
"""

ONE = parse_rules(FEW.replace('"0"', "map"))
"""Spikes into the linear map of `Of`, and into nothing else."""


class Of(nn.Module):
    """A function of a linear map of the first input, and of the others."""

    def __init__(self, function):
        super().__init__()
        self.function, self.map = function, nn.Linear(4, 4)

    def forward(self, x, *others):
        return self.function(self.map(x), *others)


def notes_of(model, *inputs, rules="spiking", **options):
    snn = snnconvert.convert(
        model.eval(), inputs, rules, calibration=[inputs], verify=False, **options
    )
    return snn, " ".join(snn.conversion.notes)


def two():
    return torch.randn(3, 4), torch.randn(3, 4)


def test_nothing_is_said_where_everything_is_on_spikes():
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))
    assert notes_of(model, torch.randn(3, 4))[1].count("spikes") == 0


def test_exact_rules_leave_nothing_to_say():
    snn = snnconvert.convert(nn.Linear(4, 5).eval(), (torch.randn(3, 4),), verify=False)
    assert not any("spikes" in note for note in snn.conversion.notes)


@pytest.mark.parametrize(
    ("function", "reason", "name"),
    [
        (lambda x: torch.linalg.matrix_power(x[:, None] * x[..., None], 2), "no place", "_power)"),
        (lambda x: x.prod(), "an operand has no place", "(prod)"),
        (lambda x, y: torch.outer(x[0], y[0] > 0), "truth values or integers", "(outer)"),
        (lambda x: (torch.fft.fft(x) ** 2).abs(), "complex", "(pow)"),
    ],
)
def test_maps_and_products_in_floats_are_named_with_the_reason(function, reason, name):
    inputs = two()[: function.__code__.co_argcount]
    _, said = notes_of(Of(function), *inputs)
    assert "not on spikes" in said and reason in said and name in said


@pytest.mark.parametrize("rules", ["spiking", "fully_spiking"])
def test_a_product_of_truth_values_is_none(rules):
    model, x = Of(lambda x, y: (x > 0) * (y > x)), two()
    snn, said = notes_of(model, *x, rules=rules)
    assert "not on spikes" not in said and "in floats" not in said
    assert snnconvert.verify(model, snn).spiking.degree == "all"


def test_a_rule_that_leaves_a_map_is_named():
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))
    _, said = notes_of(model, torch.randn(3, 4), rules=parse_rules(FEW))
    assert "1 linear map or product not on spikes, as a rule leaves them so" in said
    assert "'everything exact'" in said and "(linear in 2)" in said


def test_parts_of_what_was_taken_apart_are_counted():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.GRU(4, 4, batch_first=True), nn.GRU(4, 4, batch_first=True)

        def forward(self, x):
            return self.second(self.first(x)[0])[0].prod()

    _, said = notes_of(Recurrent(), torch.randn(3, 7, 4))
    # z (h - n) and r (W h) at every position; at the first, h is zero and no stream.
    assert "taken apart: 13 mul in first, 13 mul in second" in said
    assert "mul_tensor" not in said and "(prod)" in said


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x**2,
        lambda x: x**3,
        lambda x: x.square(),
        lambda x: x.prod(-1, keepdim=True),
        lambda x: x.cumprod(-1),
        lambda x: F.mse_loss(x, x.flip(1) * 0.5, reduction="none"),
        lambda x: x - F.mse_loss(x, x.flip(1) * 0.5),
    ],
)
def test_products_of_a_value_with_itself_are_on_spikes(function):
    model, x = Of(function).eval(), torch.randn(3, 4)
    snn, said = notes_of(model, x)
    assert "not on spikes" not in said and snn.conversion.neurons
    y = snn.simulate(x, time_steps=12)[-1]
    torch.testing.assert_close(y, model(x), rtol=1e-3, atol=1e-3)


def test_other_powers_are_functions_not_products():
    assert "not on spikes" not in notes_of(Of(lambda x: x.abs() ** 1.7), torch.randn(3, 4))[1]


@pytest.mark.parametrize(
    "written",
    [
        lambda x, w: x[:, None] * w,
        lambda x, w: (x[:, None] * w).sum(1),
        lambda x, w: w * x[:, None],
    ],
)
def test_a_map_that_is_written_out_is_on_spikes(written):
    weights = torch.linspace(-1, 1, 12).view(3, 4)
    model, x = Of(lambda x: written(x, weights).exp()).eval(), torch.randn(5, 4)
    snn, said = notes_of(model, x)
    (site,) = (s for s in snn.conversion.sited.sites.values() if s.consumer.startswith("mul"))
    assert said == "" and site.drive == "slice_1"  # ahead of the move
    spiking = snnconvert.verify(model, snn).spiking
    assert spiking.degree == "maps" and spiking.work.spiking_share == 1.0
    assert spiking.work.source_macs == 4 * 4 + 3 * 4  # of the map before it, and of itself


def test_a_scale_is_no_product():
    _, said = notes_of(Of(lambda x: x * torch.arange(4.0)), torch.randn(3, 4))
    assert said == ""


def test_rules_that_place_no_neuron_say_so():
    model = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 2))
    snn, said = notes_of(model, torch.randn(3, 4), rules="rate_if")
    assert not snn.conversion.neurons
    assert "no neuron was placed, though rule 'neurons for ReLU'" in said
    assert "2 linear maps or products not on spikes" in said
    with pytest.raises(RuleError, match="no neuron was placed"):
        notes_of(model, torch.randn(3, 4), rules="rate_if", strict=True)


@pytest.mark.parametrize(
    ("function", "neurons", "macs"),
    [
        (lambda x, y: nn.functional.bilinear(x, y, torch.ones(2, 4, 4)), 4, 2 * 16 + 8 + 16),
        (lambda x, y: torch.tensordot(x, torch.ones(4, 5), 1) + y.mean(), 2, 20 + 16),
        (lambda x, y: torch.inner(x, torch.ones(5, 4)) + y.mean(), 2, 20 + 16),
        (lambda x, y: torch.mv(x, torch.ones(4)) + y.mean(), 2, 4 + 16),
        (lambda x, y: torch.addmv(y[:, 0], x, torch.ones(4), alpha=3.0), 2, 4 + 16),
        (lambda x, y: torch.linalg.multi_dot([x, torch.ones(4, 5), torch.ones(5, 3)]), 3, 51),
        (lambda x, y: torch.linalg.multi_dot([x, torch.ones(4, 5), torch.ones(5)]), 2, 20),
        (lambda x, y: torch.addcmul(x, x, y, value=2.0), 3, 16),
        (lambda x, y: torch.linalg.vecdot(x, y), 3, 16 + 4),
        (lambda x, y: torch.addr(x, x[:, 0], y[0]), 3, 16),
        # Weights that are streams: of all samples alike, and of each sample its own.
        (lambda x, y: nn.functional.linear(x, y), 3, 16 + 3 * 4),
        (lambda x, y: nn.functional.conv1d(x[:, None], y[:, None, :3], padding=1), 3, 16 + 36),
        (lambda x, y: nn.functional.conv1d(x[None], y[:, None, :3], groups=3), 3, 16 + 2 * 3),
        (lambda x, y: nn.functional.conv_transpose1d(x[:, None], y[None, :, :3]), 3, 16 + 36),
        (lambda x, y: nn.functional.bilinear(x, x, y.mean() + torch.ones(2, 4, 4)), 4, 16 + 40),
    ],
)
def test_every_map_that_there_is_gets_neurons_and_is_counted(function, neurons, macs):
    inputs = two()
    snn, said = notes_of(Of(function), *inputs)
    assert len(snn.conversion.neurons) == neurons and "not on spikes" not in said
    report = snnconvert.verify(None, snn)
    assert report.passed
    work = report.spiking.work
    assert work.operations["MACs in floats"] == 0 and work.synaptic_operations > 0
    assert work.spiking_macs == macs


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: nn.functional.bilinear(x, y, torch.ones(2, 4, 4)),
        lambda x, y: nn.functional.bilinear(x, x, y.mean() + torch.ones(2, 4, 4)),
    ],
)
def test_a_bilinear_map_that_is_taken_apart_hides_no_other_in_floats(function):
    rules = parse_rules("""version: 1
extends: spiking
rules: [{name: in floats, match: {op: linear}, action: td}]
""")
    _, work = work_of(function, two(), rules)
    assert work.source_macs == 16 + 2 * 16 + 2 * 4  # of the map before it, and of its products
    assert work.spiking_macs == 40 and work.floats_macs == 16


def test_a_bilinear_map_of_spikes_whose_weights_are_computed_in_floats_is_in_floats():
    rules = parse_rules("""version: 1
extends: spiking
rules:
  - {name: in floats, match: {op: [linear, matmul, mul]}, action: td}
  - {name: spikes, match: {op: relu}, action: spiking}
""")
    weights = torch.ones(2, 4, 4)
    report, work = work_of(
        lambda x, y: nn.functional.bilinear(x.relu(), y.relu(), y.mean() + weights), two(), rules
    )
    assert report.spiking.analog["matmul"] == 1 and work.spiking_macs == 0


WEIGHT = torch.randn(5, 4)


@pytest.mark.parametrize(
    ("function", "equivalent", "macs"),
    [
        (lambda x, y: (x[:, None] * WEIGHT).sum(-1), lambda x, y: x @ WEIGHT.T, 20),
        (lambda x, y: (WEIGHT[0] * x).sum(-1), lambda x, y: x @ WEIGHT[0], 4),
        (lambda x, y: (WEIGHT[0] * x).mean(), lambda x, y: x @ WEIGHT[0], 4),
        (lambda x, y: (x * y).sum(-1), lambda x, y: (x[:, None] @ y[..., None])[:, 0, 0], 4),
        (lambda x, y: torch.linalg.vecdot(x, y), lambda x, y: x[:, None] @ y[..., None], 4),
        (lambda x, y: torch.outer(x.flatten()[:4], WEIGHT[:, 0]), None, 20 / 3),
        (lambda x, y: x * WEIGHT[0], None, 0),  # a scale
        (lambda x, y: (x * WEIGHT[0, :1]).sum(-1), None, 0),  # the same for all that is summed
        (lambda x, y: x * y, None, 0),  # a gate
        (lambda x, y: (x * x).sum(-1), None, 0),  # a square
    ],
)
def test_a_product_written_out_is_work_of_the_source_as_its_equivalent_is(
    function, equivalent, macs
):
    inputs = two()
    _, work = work_of(function, inputs, "spiking")
    assert work.source_macs == pytest.approx(16 + macs)
    for rules in ("sparse", ONE):
        assert work_of(function, inputs, rules)[1].source_macs == work.source_macs
    if equivalent is not None:
        assert work_of(equivalent, inputs, "spiking")[1].source_macs == work.source_macs


def work_of(function, inputs, rules):
    snn, _ = notes_of(Of(function), *inputs, rules=rules)
    report = snnconvert.verify(None, snn)
    return report, report.spiking.work


def test_a_map_written_out_that_is_left_in_floats_is_counted_so():
    inputs = two()
    function = Of(lambda x, y: ((x[:, None] * WEIGHT).sum(-1), x))
    snn, _ = notes_of(function, *inputs, rules=ONE)
    report = snnconvert.verify(None, snn)
    work = report.spiking.work
    assert work.spiking_macs == 16 and work.spiking_share == pytest.approx(16 / 36)
    _, x = snn.simulate(*inputs)
    changed = (torch.cat([torch.zeros_like(x[:1]), x]).diff(dim=0) != 0).sum()
    assert work.operations["MACs in floats"] == pytest.approx(5 * int(changed) / 3)
    assert report.spiking.analog == {"mul": 1}
    assert "44.4% of the multiply-accumulate work of maps" in str(report)


def test_a_product_of_spikes_written_out_is_on_spikes():
    report, work = work_of(lambda x, y: (x * y).sum(-1), two(), "spiking")
    assert work.spiking_macs == work.source_macs == 16 + 4
    assert report.spiking.analog == {} and work.operations["MACs in floats"] == 0


def actions(report, kind):
    return {(row.rule, row.action): row.nodes for row in report.kinds if row.kind == kind}


def test_what_has_no_spikes_is_not_said_to_have_them():
    snn, _ = notes_of(Of(lambda x, y: (x * WEIGHT[0]) * (y * 2)), *two())
    report = snnconvert.verify(None, snn)
    (rule,) = {rule for rule, _ in actions(report, "mul")}
    found = {action: nodes for (_, action), nodes in actions(report, "mul").items()}
    assert found == {"td": 2, "spike_operands": 1} and rule in snn.summary()


def test_what_is_summed_up_with_a_factor_counts_once():
    def events(alpha):
        torch.manual_seed(0)
        inputs = two()
        snn, _ = notes_of(
            Of(lambda x, y: torch.addmv(y[:, 0], x, torch.ones(4), alpha=alpha)), *inputs
        )
        return snnconvert.verify(None, snn).spiking.work.operations["accumulations"]

    assert events(1.0) == events(5.0) > 0


def test_a_map_written_as_a_product_and_a_sum_is_listed():
    weight = torch.randn(5, 4)
    _, said = notes_of(Of(lambda h: (h[:, None] * weight).sum(-1)), torch.randn(3, 4), rules=ONE)
    assert "1 linear map or product not on spikes" in said and "(mul)" in said
    for scale in (weight[0], weight[0, :1], 2.0):
        _, said = notes_of(Of(lambda h, s=scale: h * s), torch.randn(3, 4))
        assert "not on spikes" not in said
