"""Events of a step: what a map is given to add up, counted."""

from itertools import product

import pytest
import torch
import transformers.integrations.moe  # registers the operator
from torch import nn

import snnconvert
from snnconvert.converter.verification.measure.measurement import measure_spiking
from snnconvert.ops.neurons.neuron import Neuron
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
    assert work.operations["accumulations"] * len(x) == pytest.approx(spikes * 4 * 4)
    # Others do not know of spikes that are emitted again.
    found = snn.report.spiking.conventions
    assert found.effective.macs * len(x) == pytest.approx(6 * 2 * 4 * 4)
    assert found.planes.acs == found.effective.macs


ROUTED = """
version: 1
time_steps: 4
encoding: constant
neuron: {{type: multi_threshold, levels: 8, bursts: {bursts}}}
rules: [{{name: spikes, match: {{op: [grouped_mm, {op}]}}, action: spiking}}]
"""
WIDTH = 3
MOVES = {  # which group each row is in, step by step
    "none moves": ["000111", "000111", "000111", "000111"],
    "the first goes over": ["000111", "100111", "100111", "100111"],
    "the last goes over": ["000111", "000111", "000110", "000110"],
    "two swap": ["000111", "100011", "100011", "000111"],
    "all swap, to and fro": ["000111", "111000", "000111", "111000"],
    "more and less": ["000000", "011111", "000100", "110111"],
}


class Routed(nn.Module):
    """Rows that meet the weights of groups which a plan says, step by step.

    Args:
        follow: gives what becomes of the sorted rows.
    """

    def __init__(self, follow):
        super().__init__()
        torch.manual_seed(0)
        self.follow, self.map = follow, nn.Linear(WIDTH, WIDTH, bias=False)
        self.weights = nn.ParameterList(torch.randn(2, WIDTH, WIDTH) for _ in range(2))

    def forward(self, x, ones, plan):
        step = (4 * ones - 1).round().long().clamp(0, 3)
        choice = (plan % 2).gather(1, step[:, None])[:, 0]
        order = choice.argsort(stable=True)
        ends = torch.stack([(1 - choice).sum(), choice.new_tensor(len(x))]).int()
        return self.follow(self, x, order, ends)

    def grouped(self, rows, ends, which=0):
        operator = torch.ops.transformers.grouped_mm_fallback
        return operator(rows, self.weights[which], ends)


def put_back(rows, order):
    return rows[order.argsort()]


def routed(follow, move, bursts, op="div"):
    """Return what a network with routed rows accumulates, its neuron, and its rows."""
    x = torch.tensor([1.0, 0.0, 0.3, 2.0, -0.7, 0.5])[:, None] * torch.tensor([1.0, 0.0, -0.45])
    plan = torch.tensor([[int(c) for c in row] for row in zip(*MOVES[move], strict=True)])
    values, rules = (x, torch.ones(6), plan), parse_rules(ROUTED.format(bursts=bursts, op=op))
    model = Routed(follow).eval()
    # Neurons of places take time to say another row's value: they are not near, and not judged.
    snn = snnconvert.convert(model, values, rules, calibration=[values], verify=False)
    neurons = [m for m in snn.tree.modules() if isinstance(m, Neuron)]
    work = measure_spiking(snn, [values]).work
    return work.operations["accumulations"] * len(x), neurons, x


def said_by(neuron, drives):
    """Return how many spikes a neuron has in each step that follows one value alone."""
    state, found, last = {}, [], 0.0
    for t, drive in enumerate(drives):
        spikes = 0
        for answer in neuron.answers(torch.tensor([[drive]]), state, t).flatten().tolist():
            spikes += answer != last
            last = answer
        found.append(spikes)
    return found


def counted(neuron, x, move):
    """Count the additions of rows whose neurons go with them: a group gets what it has missed."""
    found = 0
    for row, values in enumerate(x.tolist()):
        for value in values:
            said, had = 0, {"0": 0, "1": 0}
            spoken = said_by(neuron, [value * t / 4 for t in (1, 2, 3, 4)])
            for spikes, groups in zip(spoken, MOVES[move], strict=True):
                said += spikes
                found += (said - had[groups[row]]) * WIDTH
                had[groups[row]] = said
    return found


@pytest.mark.parametrize("bursts", [1, 3])
@pytest.mark.parametrize("move", MOVES)
def test_rows_are_followed_wherever_they_stand(move, bursts):
    def follow(model, x, order, ends):
        return put_back(model.grouped(x[order], ends), order)

    found, (neuron,), x = routed(follow, move, bursts)
    assert found == counted(neuron, x, move)


@pytest.mark.parametrize("move", MOVES)
def test_each_map_of_an_operand_gets_what_it_has_missed(move):
    def follow(model, x, order, ends):
        rows = x[order]
        both = model.grouped(rows, ends) + model.grouped(rows, ends, 1)
        return put_back(both, order)

    found, (neuron,), x = routed(follow, move, 3)
    assert found == 2 * counted(neuron, x, move)


@pytest.mark.parametrize("move", MOVES)
def test_spikes_that_are_sorted_are_followed(move):
    def follow(model, x, order, ends):
        rows = model.map(x).relu()  # a neuron, before
        return put_back(model.grouped(rows.index_select(0, order), ends), order)

    found, neurons, x = routed(follow, move, 1, "relu")
    (neuron,) = (n for n in neurons if n.target.function is None)
    assert found == counted(neuron, Routed(follow).map(x), move)


@pytest.mark.parametrize("bursts", [1, 3])
@pytest.mark.parametrize("move", MOVES)
def test_sorted_rows_that_meet_the_same_weights_have_spikes_of_their_own(move, bursts):
    def follow(model, x, order, ends):
        return put_back(model.map(x[order]), order)

    found, (neuron,), x = routed(follow, move, bursts, "linear")
    assert found == counted(neuron, x, "none moves")


@pytest.mark.parametrize("move", MOVES)
def test_rows_that_cannot_be_followed_say_all_again(move):
    def follow(model, x, order, ends):
        places = (order[:, None] == torch.arange(6)).float()  # a sort without indices
        return places.T @ model.grouped(places @ x, ends)

    found, (neuron,), x = routed(follow, move, 3)
    orders = [sorted(range(6), key=groups.__getitem__) for groups in MOVES[move]]
    wanted = 0
    for place in range(6):
        rows = [(x[order[place]] * (t + 1) / 4).tolist() for t, order in enumerate(orders)]
        for drives in zip(*rows, strict=True):
            spoken = said_by(neuron, drives)
            wanted += sum(sum(spoken[: t + 1]) for t in range(4)) * WIDTH
    assert found == wanted


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


RESTING = """
version: 1
time_steps: {steps}
encoding: constant
neuron: {{type: multi_threshold, levels: 8}}
rules: [{{name: spikes, match: {{op: [relu, matmul]}}, action: spiking}}]
"""


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("behind", [False, True])
def test_what_is_new_meets_the_constants_of_another_operand_in_the_first_step(behind, steps):
    torch.manual_seed(0)
    x, y = drawn(2, 3, 4), drawn(2, 4, 5)

    def function(x, y):
        y = torch.constant_pad_nd(y.relu(), (0, 2), 3.0)
        return x @ y if behind else y.mT @ x.mT

    rules = parse_rules(RESTING.format(steps=steps))
    snn = snnconvert.convert(Model(function).eval(), (x, y), rules, calibration=[(x, y)])
    found = snn.report.spiking.work.operations["products of spikes"] * 2
    # Of a product in the first step, one operand is new beside what the other was before.
    first = ones(x) * 2 + ones(y) * 3 if behind else ones(x) * 7
    assert found == first + (steps - 1) * (ones(x) * 7 + ones(y) * 3)


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
    found = report.work.operations["products of spikes"] * samples
    assert found == pytest.approx(2 * 4 * ones(y) + ones(x))  # a third, three times


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
