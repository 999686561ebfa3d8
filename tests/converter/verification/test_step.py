"""Events of a step: what a map is given to add up, counted."""

from itertools import product

import pytest
import torch
import transformers.integrations.moe  # registers the operator
from torch import nn

import snnconvert
from snnconvert.rules import parse_rules

assert transformers.integrations.moe

RULES = """
version: 1
time_steps: 2
encoding: constant
neuron: {type: multi_threshold, levels: 8}
rules: [{name: spikes, match: {op: grouped_mm}, action: spike_operands}]
"""


class Experts(nn.Module):
    """Rows that meet the weights of one of two groups, by the sign of what is given beside them."""

    def __init__(self, width=4):
        super().__init__()
        torch.manual_seed(0)
        self.weight = nn.Parameter(torch.randn(2, width, width))

    def forward(self, x, beside):
        choice = (beside > 0.75).long()
        order = choice.argsort(stable=True)
        ends = torch.stack([(1 - choice).sum(), choice.new_tensor(len(x))])
        operator = torch.ops.transformers.grouped_mm_fallback
        return operator(x[order], self.weight, ends.int())[order.argsort()]


@pytest.mark.parametrize("changing", [0, 1, 3])
def test_rows_that_change_their_group_emit_all_their_spikes_again(changing):
    # Each value emits a half in each of the two steps. In the second, `changing` rows, the last
    # that are in the first group, go over to the other.
    x = torch.ones(6, 4)
    beside = torch.zeros(6).index_fill(0, torch.arange(6 - changing, 6), 1.0)
    model = Experts().eval()
    snn = snnconvert.convert(model, (x, beside), parse_rules(RULES), calibration=[(x, beside)])
    work = snn.report.spiking.work
    assert snn.report.passed
    spikes = 6 * 2 + changing * 1  # those of the first step are emitted again
    assert work.operations["accumulations"] * len(x) == spikes * 4 * 4


SPIKES = """
version: 1
time_steps: {steps}
encoding: constant
neuron: {{type: multi_threshold, levels: 8, bursts: {bursts}}}
rules: [{{name: spikes, match: {{op: [linear, conv, matmul, mul]}}, action: spike_operands}}]
"""


class Model(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *values):
        return self.function(*values)


def measured(function, values, steps=2, bursts=1):
    rules = parse_rules(SPIKES.format(steps=steps, bursts=bursts))
    snn = snnconvert.convert(Model(function).eval(), values, rules, calibration=[values])
    assert snn.report.passed
    return snn.report.spiking, len(values[0])


def drawn(*shape):
    """Return zeros and ones: of a one, each of two steps brings a half, in one spike."""
    values = torch.randint(2, shape).float()
    values[0] = 1.0
    return values


def ones(x):
    return int(x.sum())


def counted_of_matrices(x, y):
    """Count the products of ``x @ y`` in two steps; in the first, ``x`` meets nothing."""
    samples, rows, inner = x.shape
    found = 0
    for b, i, j, k in product(range(samples), range(rows), range(inner), range(y.shape[2])):
        found += 2 * int(y[b, j, k]) + int(x[b, i, j])
    return found


def counted_of_convolution(x, weight, stride, padding, groups):
    """Count the additions of a convolution in two steps."""
    outputs, _, height, width = weight.shape
    size = (x.shape[2] + 2 * padding - height) // stride + 1
    found = 0
    for (*_, i, j), u, v in product(x.nonzero().tolist(), range(size), range(size)):
        top, left = u * stride - padding, v * stride - padding
        if top <= i < top + height and left <= j < left + width:
            found += 2 * outputs // groups
    return found


def test_products_of_matrices_are_counted_by_hand():
    torch.manual_seed(0)
    x, y = drawn(3, 4, 5), drawn(3, 5, 2)
    report, samples = measured(lambda a, b: a @ b, (x, y))
    assert report.work.operations["products of spikes"] * samples == counted_of_matrices(x, y)


def test_products_of_a_value_with_itself_are_counted_by_hand():
    torch.manual_seed(0)
    x = drawn(3, 4, 4)
    report, samples = measured(lambda a: a @ a, (x,))
    assert report.work.operations["products of spikes"] * samples == counted_of_matrices(x, x)


@pytest.mark.parametrize("stride, padding, groups", [(1, 0, 1), (2, 1, 2), (3, 2, 4)])
def test_a_convolution_is_counted_by_hand(stride, padding, groups):
    torch.manual_seed(0)
    x, weight = drawn(2, 4, 6, 6), torch.randn(8, 4 // groups, 3, 3)
    options = {"stride": stride, "padding": padding, "groups": groups}
    report, samples = measured(lambda a: nn.functional.conv2d(a, weight, **options), (x,))
    wanted = counted_of_convolution(x, weight, **options)
    assert report.work.operations["accumulations"] * samples == wanted


def test_operands_that_are_broadcast_are_counted_by_hand():
    torch.manual_seed(0)
    x, y = drawn(3, 4, 5), drawn(3, 1, 5)
    report, samples = measured(lambda a, b: a * b, (x, y))
    assert report.work.operations["products of spikes"] * samples == 2 * 4 * ones(y) + ones(x)


def test_a_factor_of_integers_counts_as_any_other():
    torch.manual_seed(0)
    x, y = drawn(3, 5), drawn(3, 5)
    report, samples = measured(lambda a, b: (a @ torch.eye(5), a * ((b > 0.75) * 3)), (x, y))
    # In the second step both change: integers where they pass 0.75.
    assert report.work.operations["MACs in floats"] * samples == ones(x) + ones(y)


def test_a_sum_with_factors_is_counted_by_hand():
    torch.manual_seed(0)
    x, y, weight = drawn(6, 4), drawn(6, 3), torch.randn(4, 3)
    report, samples = measured(
        lambda a, b: torch.addmm(b, a, weight, alpha=3, beta=0.5) * 2, (x, y)
    )
    assert report.work.operations["accumulations"] * samples == 2 * 3 * ones(x)


@pytest.mark.parametrize("steps", [1, 2])
def test_a_square_makes_one_product_of_each_spike_of_a_burst(steps):
    # s (A_{t-1} + A_t), answer by answer
    x = torch.tensor([[0.0, 1.0, 0.75, 0.3], [1.0, 0.7, 0.45, 0.0]])
    report, samples = measured(lambda a: a * a, (x,), steps, bursts=3)
    (site,) = report.sites
    spikes = site.rate * site.values * steps
    assert spikes * samples > steps * int((x != 0).sum())  # there are bursts
    assert report.work.operations["products of spikes"] == pytest.approx(spikes)
