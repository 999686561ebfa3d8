"""Where neurons stand, and which of their values are a sample's."""

from __future__ import annotations

import pytest
import torch

from snnconvert.converter.running.recorded_run import Place, RecordedRun, places_of
from snnconvert.errors import ArgumentError
from snnconvert.ops.neurons import MultiThreshold
from tests.converter.running.test_until import converted

NEURON = MultiThreshold(1.0)


def test_places_are_found_in_the_graph():
    snn, _, _ = converted("heads", "st_bif, levels: 8")
    found = {p.site: (p.dim, p.outer) for p in places_of(snn.graph, snn.tree).values()}
    assert found["attention.input_neuron"] == (1, 1)  # tokens before samples
    assert found["attention.key_neuron"] == (0, 1)  # samples before heads
    assert found["head.input_neuron"] == (0, 4)  # tokens around samples
    assert set(found) == set(snn.conversion.neurons.values())


@pytest.mark.parametrize(
    ("outer", "size", "samples"),
    [(1, 3, [0, 1, 2]), (1, 6, [0, 0, 1, 1, 2, 2]), (2, 6, [0, 1, 2, 0, 1, 2])],
)
def test_which_sample_a_value_is_of(outer, size, samples):
    place = Place("n", "n", NEURON, 1, outer)
    assert place.sample_of(size, 3).tolist() == samples
    run = RecordedRun({"k": place}, ("drive",), 3)
    x = torch.randn(4, 2, size)
    run.see(NEURON, "k", x, {}, 0)
    run.see(NEURON, "another", x, {}, 0)
    run.end(4)
    (drive,) = run.of("drive").values()
    for n in range(3):
        own = [i for i, of in enumerate(samples) if of == n]
        assert torch.equal(run.of_sample("n", drive, n), drive[:, :, own].flatten(1))
    with pytest.raises(ArgumentError, match="sample=3: allowed is a whole number from 0 to 2"):
        run.of_sample("n", drive, 3)


def test_a_scalar_is_a_batch_of_one():
    run = RecordedRun({"k": Place("n", "n", NEURON, 0)}, ("drive", "membrane"), 1)
    run.see(NEURON, "k", torch.ones(1, 1), {}, 0)
    run.end(3, torch.tensor([1]))
    assert run.of("drive")["n"].tolist() == [[1.0], [0.0], [0.0]]
    assert run.of("membrane")["n"].tolist() == [[0.0]] * 3
    assert run.of_sample("n", run.of("drive")["n"], 0).shape == (3, 1)


def test_calls_are_kept_when_they_end():
    run = RecordedRun({"k": Place("n", "n", NEURON, 0)}, ("drive",), 2)
    for x in (1.0, 3.0):
        run.see(NEURON, "k", torch.full((1, 2, 4), x), {}, 0)
    assert run.steps == 0 and run.of("drive") == {}
    run.end(2)
    run.see(NEURON, "k", torch.full((1, 2, 4), 9.0), {}, 2)
    run.forget()
    run.see(NEURON, "k", torch.full((1, 2, 4), 4.0), {}, 2)
    run.end(1)
    assert run.steps == 3
    assert run.of("drive")["n"][:, 0, 0].tolist() == [1.0, 2.0, 1.0]
