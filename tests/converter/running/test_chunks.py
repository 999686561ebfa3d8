"""Chunks give the values of one chunk, and a run that has settled ends with the same values."""

from __future__ import annotations

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

import snnconvert
from snnconvert.converter.running.chunks import lengths_of
from snnconvert.errors import ArgumentError, InputError
from snnconvert.ops.encoding import Encoding
from snnconvert.torch_private import FakeTensorMode, pytree
from tests.converter.running.test_until import (
    CASES,
    Early,
    Mixed,
    Rectified,
    converted,
    rules_of,
)


@pytest.mark.parametrize(
    ("total", "options", "lengths"),
    [
        (1, {}, [1]),
        (7, {}, [7]),
        (7, {"most": 3}, [3, 3, 1]),
        (6, {"most": 3}, [3, 3]),
        (6, {"most": 9, "looks": True}, [6]),
        (15, {"looks": True}, [15]),
        (16, {"looks": True}, [8, 8]),
        (31, {"looks": True}, [8, 23]),
        (32, {"looks": True}, [8, 8, 16]),
        (64, {"most": 64, "looks": True}, [8, 8, 16, 32]),
        (40, {"most": 16, "looks": True}, [16, 16, 8]),
    ],
)
def test_lengths(total, options, lengths):
    assert lengths_of(total, **options) == lengths


def close(a, b):
    for x, y in zip(pytree.tree_leaves(a), pytree.tree_leaves(b), strict=True):
        torch.testing.assert_close(x, y, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("encoding", ["at_once", "constant", Early()])
@pytest.mark.parametrize(("name", "neuron"), [CASES[0], CASES[4], CASES[8], *CASES[-4:]])
def test_chunks_answer_what_one_chunk_does(name, neuron, encoding):
    snn, x, _ = converted(name, neuron)
    whole = snn.simulate(x, time_steps=7, encoding=encoding, chunk=7)
    for chunk in (1, 2, 3, 9):
        close(snn.simulate(x, time_steps=7, encoding=encoding, chunk=chunk), whole)
    close(snn.simulate(x, time_steps=7, encoding=encoding), whole)


def counting(snn):
    """Return a list that gets how many samples each call of the first neuron has."""
    calls, path = [], next(iter(snn.conversion.neurons.values()))
    snn.get_submodule(path).register_forward_hook(lambda m, given, y: calls.append(len(given[0])))
    return calls


SETTLING = ("st_bif, levels: 8", "multi_threshold, levels: 6, per_octave: 4, bursts: 2")


@pytest.mark.parametrize("chunk", [1, 3, 16, None])
@pytest.mark.parametrize("neuron", [*SETTLING, "lif, tau: 1.0", "integrate_and_fire, reset: hard"])
def test_a_run_that_has_settled_ends_with_the_same_values(neuron, chunk):
    snn, x, _ = converted("rectified", neuron)
    steps, whole = 64, snn.simulate(x, time_steps=64, chunk=64)
    settled = snn.simulate(x, time_steps=64, until="settled").steps.max()
    calls = counting(snn)
    found = snn.simulate(x, time_steps=steps, chunk=chunk)
    close(found, whole)
    assert settled < steps / 2 and sum(calls) < steps * len(x)
    if chunk is not None:  # seen at the end of the first chunk whose last step changed nothing
        assert sum(calls) // len(x) - settled < chunk + (chunk == 1)


def test_half_types_end_too():
    snn, x, _ = converted("rectified", SETTLING[0])
    snn, x = snn.half(), x.half()
    whole, calls = snn.simulate(x, time_steps=64, chunk=64), counting(snn)
    assert torch.equal(snn.simulate(x, time_steps=64), whole)
    assert sum(calls) < 64 * len(x)


def test_what_moves_without_a_spike_goes_on():
    snn, x, _ = converted("rectified", "lif, tau: 4.0")
    calls, whole = counting(snn), snn.simulate(x, time_steps=32, chunk=32)
    calls.clear()
    close(snn.simulate(x, time_steps=32, chunk=4), whole)
    assert calls == [4 * len(x)] * 8


@pytest.mark.parametrize(
    ("neuron", "options"),
    [
        (SETTLING[0], {"encoding": "constant"}),
        (SETTLING[0], {"encoding": Early()}),
        ("multi_threshold, levels: 2, gain: inverse_time", {}),
    ],
)
def test_what_may_change_on_is_run_to_the_end(neuron, options):
    snn, x, _ = converted("rectified", neuron)
    x = x * 0
    calls = counting(snn)
    snn.simulate(x, time_steps=32, chunk=4, **options)
    assert calls == [4 * len(x)] * 8


def test_nothing_ends_early_where_gradients_are_recorded():
    """A neuron that rests passes a gradient at every step."""
    snn, x, _ = converted("rectified", SETTLING[0])
    weight = snn.b.weight.requires_grad_()
    grads = []
    for chunk in (64, 4, None):
        found = snn.simulate(x, time_steps=64, chunk=chunk)
        grads += torch.autograd.grad(found.square().sum(), weight)
    assert bool(grads[0].any())
    for grad in grads[1:]:
        torch.testing.assert_close(grad, grads[0], rtol=1e-9, atol=1e-12)


def test_what_has_no_values_is_run_to_the_end():
    snn, x, _ = converted("rectified", SETTLING[0])
    snn.requires_grad_(False)
    with FakeTensorMode(allow_non_fake_inputs=True):
        assert snn.simulate(torch.empty_like(x), time_steps=64).shape == (64, len(x), 4)
    graph = make_fx(lambda x: snn.simulate(x, time_steps=64))(x)
    assert torch.equal(graph(x * 2), snn.simulate(x * 2, time_steps=64))


def test_steps_that_run_one_by_one_end_too():
    x = torch.randn(5, 4)
    snn = snnconvert.convert(
        Mixed().eval(), (x,), rules_of("type: st_bif, levels: 8"), calibration=[x], verify=False
    ).requires_grad_(False)
    assert snn.conversion.step_by_step
    one, calls = [], counting(snn)
    for t in range(64):
        one.append(snn.step(x if t == 0 else x * 0))
    calls.clear()
    torch.testing.assert_close(snn.simulate(x, time_steps=64), torch.stack(one).cumsum(0))
    assert len(calls) < 64


def test_forward_and_cumulative_run_in_chunks_of_a_budget(monkeypatch):
    snn, x, _ = converted("rectified", SETTLING[0])
    x_seq = torch.randn(9, 7, 6, dtype=torch.float64) * x
    wanted, total = snn(x_seq), snn.cumulative(x_seq.cumsum(0))
    calls = counting(snn)
    monkeypatch.setattr("snnconvert.converter.running.memory.BUDGET", 3000)
    close(snn(x_seq), wanted)
    assert calls == [3 * 7] * 3
    close(snn.cumulative(x_seq.cumsum(0)), total)


def test_no_state_is_left_where_nobody_reads_it(monkeypatch):
    from snnconvert.converter.running import runner

    clocks, run = [], runner.run_chunks
    monkeypatch.setattr(runner, "run_chunks", lambda *a, **k: clocks.append(a[2]) or run(*a, **k))
    snn, x, _ = converted("rectified", SETTLING[0])
    snn.simulate(x, chunk=4, encoding="constant")
    snn(x[None])
    assert len(clocks) == 2 and not any(clock.state for clock in clocks)


class Spread(Encoding):
    """Notes which steps it is asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def cumulative(self, x, start, steps, total, name=""):
        self.asked.append((start, steps))
        share = torch.arange(start + 1, start + steps + 1, dtype=x.dtype) / total
        return x.unsqueeze(0) * share.reshape(-1, *[1] * x.dim())


def test_inputs_of_a_chunk_are_made_when_it_runs():
    snn, x, _ = converted("rectified", SETTLING[0])
    encoding = Spread()
    snn.simulate(x, time_steps=7, encoding=encoding, chunk=3)
    assert encoding.asked == [(0, 3), (3, 3), (6, 1)]


@pytest.mark.parametrize("chunk", [0, -1, 1.0, True, "2"])
def test_a_chunk_that_there_is_not_is_refused(chunk):
    x = torch.randn(3, 6)
    snn = snnconvert.convert(Rectified().eval(), (x,), verify=False)
    with pytest.raises(ArgumentError, match=r"chunk=.*whole number >= 1"):
        snn.simulate(x, chunk=chunk)


def test_what_ends_by_itself_has_no_chunks():
    x = torch.randn(3, 6)
    snn = snnconvert.convert(Rectified().eval(), (x,), verify=False)
    with pytest.raises(InputError, match="leave chunk= out"):
        snn.simulate(x, chunk=2, until="settled")
