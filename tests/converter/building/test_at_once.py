"""What is the same at every step is computed for one step's batch, and is what it was."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import snnconvert
from snnconvert.converter.building.at_once import at_once
from snnconvert.converter.graph.meta import TIME_DIMS
from snnconvert.converter.graph.spike_coded import is_neuron
from snnconvert.converter.running.encoded import encoded
from snnconvert.ops.clock import Clock, encode, hold
from snnconvert.ops.encoding import AtOnce
from snnconvert.rules import parse_rules
from snnconvert.torch_private import pytree
from tests.converter.running.test_until import Heads, Mixed, Recurrent, Windows

T = 5


def converted(model, inputs, rules="spiking", **options):
    batches = {} if rules == "default" else {"calibration": [inputs]}
    snn = snnconvert.convert(model.eval(), inputs, rules, verify=False, **batches, **options)
    return snn.double().requires_grad_(False)


def leaves_of(snn, inputs):
    args, kwargs = ((), inputs) if isinstance(inputs, dict) else (inputs, {})

    def wide(x):
        return x.double() if x.is_floating_point() else x

    args, kwargs = pytree.tree_map(wide, (args, kwargs))
    return snn._bind(args, kwargs, timed=False)[0]


def assert_is_every_step(snn, inputs):
    """Compare a run of inputs that arrive at once with the graph of any run, step by step."""
    leaves, clock = leaves_of(snn, inputs), Clock(T, total=T, encoding=AtOnce())
    given = snn.conversion.source.inputs
    wanted = snn.run_cumulative(encoded(AtOnce(), leaves, given, T), clock, 1)
    args, kwargs = pytree.tree_unflatten(leaves, snn.conversion.source.in_spec)
    found = snn.simulate(*args, time_steps=T, encoding="at_once", **kwargs)
    for a, b in zip(pytree.tree_leaves(found), wanted, strict=True):
        if isinstance(b, Tensor):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("rules", ["default", "spiking", "fully_spiking"])
def test_a_run_is_what_each_step_answers(network, rules):
    model, inputs = network
    snn = converted(model, inputs, rules)
    assert at_once(snn.conversion, snn.converted) is not None
    assert_is_every_step(snn, inputs)


def test_time_starts_at_neurons(network):
    model, inputs = network
    graph, _ = at_once((snn := converted(model, inputs)).conversion, snn.converted)
    behind = set()
    for node in graph.nodes:
        if is_neuron(node) or not behind.isdisjoint(node.all_input_nodes):
            behind.add(node)
        elif TIME_DIMS in node.meta:
            pytest.fail(f"{node} has time, and no neuron stands before it")
    assert behind
    assert not any(node.target is encode for node in graph.nodes)


def test_without_neurons_nothing_has_time(network):
    model, inputs = network
    graph, streams = at_once((snn := converted(model, inputs, "default")).conversion, snn.converted)
    assert not any(TIME_DIMS in node.meta or node.target is hold for node in graph.nodes)
    assert not streams.time_dims.keys() & {n for n, d in streams.domains.items() if d == 3}


@pytest.mark.parametrize(
    ("model", "x", "dim"),
    [(Heads, (4, 7, 8), 1), (Windows, (7, 6, 6), 0), (Recurrent, (4, 7, 5), 1)],
)
@pytest.mark.parametrize("rules", ["default", "spiking"])
def test_steps_within_other_dimensions_stay_where_they_are(model, x, dim, rules):
    inputs = (torch.randn(x),)
    snn = converted(model(), inputs, rules, batch_dims=dim)
    assert_is_every_step(snn, inputs)
    has_form = at_once(snn.conversion, snn.converted) is not None
    assert has_form is (rules == "default" or model is Recurrent)


@pytest.mark.parametrize("rules", ["default", "spiking"])
def test_steps_that_run_one_by_one(rules):
    inputs = (torch.randn(3, 4),)
    snn = converted(Mixed(), inputs, rules)
    assert snn.conversion.step_by_step
    assert_is_every_step(snn, inputs)


@pytest.mark.parametrize("op", ["linear", "tanh"])
def test_what_is_kept_on_increments_is_not_the_same_at_every_step(op):
    text = "version: 1\nextends: default\nrules: [{name: k, match: {op: %s}, action: keep}]\n"
    model, inputs = nn.Sequential(nn.Linear(6, 4), nn.Tanh()), (torch.randn(3, 6),)
    snn = converted(model, inputs, parse_rules(text % op))
    assert at_once(snn.conversion, snn.converted) is None
    assert_is_every_step(snn, inputs)


class Noisy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.rand_like(x)


def test_random_numbers_are_drawn_at_every_step():
    x = torch.zeros(3, 4)
    snn = snnconvert.convert(Noisy().eval(), (x,), verify=False)
    assert at_once(snn.conversion, snn.converted) is None
    found = snn.simulate(x, time_steps=2)
    assert not torch.equal(found[0], found[1])


def test_operators_of_the_tree_are_called(network):
    """Also one that the user put there, and hooks."""
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)).eval()
    x, seen = torch.randn(3, 4), []
    snn = snnconvert.convert(model, (x,), verify=False)
    before = snn.simulate(x, time_steps=2)
    handle = snn.get_submodule("0").register_forward_hook(lambda m, a, y: seen.append(y.shape))
    snn.simulate(x, time_steps=2)
    assert seen == [(3, 4)]
    handle.remove()
    snn.get_submodule("2").weight.data *= 2
    assert not torch.equal(snn.simulate(x, time_steps=2), before)
    setattr(snn, "2", nn.Linear(4, 2))
    wanted = getattr(snn, "2")(snn.get_submodule("0").cumulative(x).relu())
    torch.testing.assert_close(snn.simulate(x, time_steps=2)[1], wanted)
