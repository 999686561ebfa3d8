"""Which values of a graph are spikes, by what moves and joins them."""

from __future__ import annotations

import time

import torch
from torch import fx

from snnconvert.converter.graph.spike_coded import is_spike_coded, moved_from
from snnconvert.ops.targets import DRIVE, follow

aten = torch.ops.aten


def neuron(graph: fx.Graph) -> fx.Node:
    return graph.call_function(follow, (graph.placeholder("x"), DRIVE))  # type: ignore[arg-type]


def test_what_is_moved_and_joined_stays_spikes() -> None:
    graph = fx.Graph()
    spikes = neuron(graph)
    moved = graph.call_function(aten.permute.default, (spikes, [1, 0]))
    joined = graph.call_function(aten.cat.default, ([moved, spikes],))
    assert is_spike_coded(joined) and moved_from(joined) == [spikes]


def test_what_is_joined_with_other_values_or_changed_is_none() -> None:
    graph = fx.Graph()
    spikes, other = neuron(graph), graph.placeholder("y")
    assert not is_spike_coded(graph.call_function(aten.cat.default, ([spikes, other],)))
    assert not is_spike_coded(graph.call_function(aten.neg.default, (spikes,)))
    assert not is_spike_coded(1.0)


def test_joins_of_joins_take_time_in_proportion() -> None:
    graph = fx.Graph()
    value = neuron(graph)
    for _ in range(300):  # 2^300 ways lead back to the neuron
        value = graph.call_function(aten.cat.default, ([value, value],))
    start = time.process_time()
    assert is_spike_coded(value)
    assert time.process_time() - start < 1


def test_a_complex_value_is_spikes_where_both_parts_are() -> None:
    graph = fx.Graph()
    spikes, other = neuron(graph), graph.placeholder("y")
    pair = graph.call_function(aten.complex.default, (spikes, spikes))
    assert is_spike_coded(pair) and moved_from(pair) == [spikes]
    assert not is_spike_coded(graph.call_function(aten.complex.default, (spikes, other)))
