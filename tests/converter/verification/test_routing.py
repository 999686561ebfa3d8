"""Which row of a routing each row of a value is."""

import pytest
import torch
import transformers.integrations.moe  # registers the operator
from torch import nn

import snnconvert
from snnconvert.converter.graph.spike_coded import is_neuron
from snnconvert.converter.verification.calls import calls_of
from snnconvert.converter.verification.measure.routing import Heard, Routing, groups_of, is_order
from snnconvert.rules import parse_rules

assert transformers.integrations.moe

RULES = """
version: 1
rules: [{name: spikes, match: {op: [grouped_mm, silu, linear]}, action: spiking}]
"""


class Experts(nn.Module):
    def __init__(self, follow):
        super().__init__()
        torch.manual_seed(0)
        self.follow, self.map = follow, nn.Linear(4, 4)
        self.weight = nn.Parameter(torch.randn(2, 4, 4))

    def forward(self, x):
        choice = (x.sum(-1) > 0).long()
        ends = torch.histc(choice.float(), 2, 0, 1).cumsum(0, dtype=torch.int32)
        return self.follow(self, x, choice, ends)

    def grouped(self, rows, ends):
        return torch.ops.transformers.grouped_mm_fallback(rows, self.weight, ends)


def orders(follow):
    """Return what sorts the rows of each neuron, by name; None where nothing is known to."""
    x = torch.randn(6, 4)
    rules = parse_rules(RULES)
    snn = snnconvert.convert(Experts(follow).eval(), (x,), rules, calibration=[x], verify=False)
    routing = Routing(snn.graph, calls_of(snn.graph, snn.conversion))
    found = [routing.orders.get(node) for node in snn.graph.nodes if is_neuron(node)]
    return [None if x is None else x.name for x in found]


def two_maps(model, x, choice, ends):
    order = choice.argsort(stable=True)
    gate, up = model.grouped(x[order], ends).chunk(2, -1)
    rows = torch.cat([nn.functional.silu(gate) * up, up.to(torch.float32)], -1)
    return model.grouped(rows, ends)[order.argsort()]


def put_back_by_places(model, x, choice, ends):
    order = choice.sort(stable=True).indices
    places = torch.empty_like(order)
    places[order] = torch.arange(len(order))
    return model.map(model.grouped(x[order // 1], ends)[places])


def layers(model, x, choice, ends):
    order = choice.argsort(stable=True)
    x = model.grouped(x[order], ends)[order.argsort()]
    return model.grouped(x[order], ends)[order.argsort()]


def sorted_twice(model, x, choice, ends):
    order = choice.argsort(stable=True)
    return model.grouped(x[order][order], ends)


FOLLOWED = {
    "through functions and maps": (two_maps, ["argsort", "argsort", "argsort"]),
    "until they are put back": (put_back_by_places, ["getitem_1", None]),
    "through layers": (layers, ["argsort", "argsort"]),
    "not where they are sorted twice": (sorted_twice, [None]),
}


@pytest.mark.parametrize("name", FOLLOWED)
def test_rows_are_followed(name):
    follow, wanted = FOLLOWED[name]
    assert orders(follow) == wanted


def test_rows_have_groups_and_nothing_else_has():
    ends = torch.tensor([2, 2, 5])
    assert groups_of(torch.ones(5, 4), torch.ones(3, 4, 2), ends).tolist() == [0, 0, 2, 2, 2]
    assert groups_of(torch.ones(4, 5), torch.ones(5, 2), ends) is None
    assert groups_of(torch.ones(3, 4, 5), torch.ones(5, 5), ends) is None


def test_an_order_names_each_place_once():
    assert is_order(torch.tensor([2, 0, 1])) and not is_order(torch.tensor([2, 0, 2]))


def test_a_group_gets_what_it_has_missed_and_no_more():
    heard, one = Heard(), torch.ones(2, 1)
    steps = [([0, 1], 1), ([1, 1], 2), ([0, 1], 4), ([0, 0], 5)]
    found = [heard.missed(torch.tensor(groups), said * one) for groups, said in steps]
    assert torch.cat(found, 1).tolist() == [[1, 2, 3, 1], [1, 1, 2, 5]]
