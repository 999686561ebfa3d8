"""Samples that stop by themselves: they have settled to the last bit, or their answer is clear."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import snnconvert
from snnconvert.converter.running.encoded import encoded
from snnconvert.converter.running.until import Settled
from snnconvert.errors import ArgumentError, InputError
from snnconvert.ops.clock import Clock
from snnconvert.ops.encoding import Encoding
from snnconvert.ops.neurons import IntegrateAndFire
from snnconvert.rules import parse_rules
from snnconvert.torch_private import pytree
from tests.converter.conftest import TinyCNN, TinyLM, TinyViT

T = 16


class Rectified(nn.Module):
    """Every drive of a map is rectified, as neurons without negative spikes need it."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(6, 12), nn.Linear(12, 12), nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.c(self.b(self.a(x.relu()).relu()).relu())


class Heads(nn.Module):
    """Tokens before samples, and heads beside them in one dimension."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.head = nn.MultiheadAttention(8, 2), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.attention(x, x, x, need_weights=False)[0]).transpose(0, 1)


class Windows(nn.Module):
    """Windows are put before samples, in one dimension."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        count = x.shape[0]
        windows = x.reshape(count, 2, 3, 6).transpose(0, 1).reshape(2 * count, 3, 6)
        hidden = self.b(self.a(windows).relu()).reshape(2, count, 3, 3)
        return hidden.transpose(0, 1).reshape(count, 6, 3)


class Recurrent(nn.Module):
    """An LSTM whose tokens stand before its samples, and all that it gives."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(5, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        told, (h, c) = self.lstm(x)
        return {"logits": self.head(told[-1]), "told": told, "h": h, "c": c}


NETWORKS = {
    "heads": (Heads, (4, 7, 8), 1),
    "windows": (Windows, (7, 6, 6), 0),
    "cnn": (TinyCNN, (7, 1, 8, 8), 0),
    "transformer": (TinyViT, (7, 1, 4, 4), 0),
    "lstm": (Recurrent, (4, 7, 5), 1),
    "rectified": (Rectified, (7, 6), 0),
}
SIGNED = ("multi_threshold, levels: 12", "st_bif, levels: 8", "sigma_delta, levels: 64")
UNSIGNED = (
    "integrate_and_fire",
    "integrate_and_fire, reset: hard",
    "lif, tau: 1.0",
    "multi_threshold, levels: 6, per_octave: 4, bursts: 2",
)
CASES = [(n, neuron) for n in sorted(NETWORKS) for neuron in SIGNED]
CASES += [("rectified", neuron) for neuron in UNSIGNED]


def rules_of(neuron, more=""):
    neuron = (
        f"neuron: {{bursts: 1, {neuron}}}" if "bursts" not in neuron else f"neuron: {{{neuron}}}"
    )
    return parse_rules(
        f"version: 1\nextends: spiking\ntime_steps: {T}\n{neuron}\n{more}rules: []\n"
    )


def converted(name, neuron, more=""):
    """Return a conversion in float64 and inputs; samples differ in size, so that some are later."""
    build, shape, dim = NETWORKS[name]
    x = torch.randn(shape) * torch.logspace(-3, 0, 7).reshape(
        [7 if d == dim else 1 for d in range(len(shape))]
    )
    options = {"calibration": [x], "batch_dims": dim, "verify": False}
    snn = snnconvert.convert(build().eval(), (x,), rules_of(f"type: {neuron}", more), **options)
    return snn.double().requires_grad_(False), x.double(), dim


def one_by_one(snn, x, steps=T):
    """Return the output leaves of each step, and the states after it, of a run to the end."""
    leaves, _ = snn._bind((x,), {}, timed=False)
    inputs = encoded(snn._encoding, leaves, snn.conversion.source.inputs, steps)
    clock, found = Clock(1, total=T, encoding=snn._encoding), []
    run = snn._runner.program(snn.tree).begin(snn.tree, leaves)
    for t in range(steps):
        clock.start = t
        outputs = run([v[t] for v in inputs], clock)
        found.append((outputs, dict(clock.state)))
    return found


def settles_after(snn, x):
    """Return after how many steps one sample has settled, looked at from the end; None: not yet."""
    states = [state for _, state in one_by_one(snn, x)]
    same = [all(torch.equal(a[k], b[k]) for k in b) for a, b in itertools.pairwise(states)]
    if not same[-1]:
        return None
    return max((t for t, is_same in enumerate(same) if not is_same), default=-1) + 3


@pytest.mark.parametrize(("name", "neuron"), CASES)
def test_what_has_settled_is_what_a_whole_run_answers_to_the_last_bit(name, neuron):
    snn, x, dim = converted(name, neuron)
    found = snn.simulate(x, until="settled")
    assert isinstance(found, Settled) and found.done.any() and found.steps.dtype == torch.int64
    leaves = pytree.tree_leaves(found.outputs)
    for t, (outputs, _) in enumerate(one_by_one(snn, x)):
        for own, wanted in zip(leaves, outputs, strict=True):
            assert torch.equal(own[t], wanted)
    for own, wanted in zip(leaves, pytree.tree_leaves(snn.simulate(x)), strict=True):
        torch.testing.assert_close(own, wanted, rtol=1e-9, atol=1e-12)  # of one larger batch
    for i, (steps, done) in enumerate(zip(found.steps.tolist(), found.done.tolist(), strict=True)):
        assert (steps if done else None) == settles_after(snn, x.narrow(dim, i, 1))


def test_no_step_is_run_once_all_samples_are_done():
    snn, x, _ = converted("rectified", "st_bif, levels: 8")
    calls = []
    neuron = snn.get_submodule(next(iter(snn.conversion.neurons.values())))
    neuron.register_forward_hook(lambda *called: calls.append(called))
    found = snn.simulate(x, until="settled")
    assert found.done.all() and found.steps.unique().numel() > 1
    assert len(calls) == found.steps.max() < T
    assert len(found.outputs) == T and torch.equal(found.outputs[-1], found.outputs[len(calls) - 1])


def test_a_state_that_moves_without_a_spike_has_not_settled():
    """A leak of a half takes a potential to zero in far more steps than these."""
    snn, x, _ = converted("rectified", "lif, tau: 2.0")
    found = snn.simulate(x, until="settled")
    quiet = [not torch.equal(a, b) for a, b in itertools.pairwise(found.outputs)]
    assert not any(quiet[-3:]) and not found.done.any() and set(found.steps.tolist()) == {T}


def test_a_potential_that_was_charged_in_a_silent_first_step_has_not_settled():
    snn, x, _ = converted("rectified", "lif, tau: 2.0")
    for name in ("a", "b"):
        getattr(snn, name).bias.zero_()
    assert not snn.simulate(x.abs() * 1e-3 + 1e-6, until="settled").done.any()


@pytest.mark.parametrize(("kept", "steps", "done"), [("tanh", 2, True), ("linear", 4, False)])
def test_sums_of_what_a_rule_keeps_on_increments_are_states_too(kept, steps, done):
    """A bias that is kept is added anew at each step."""
    model, x = nn.Sequential(nn.Linear(6, 4), nn.Tanh()).eval(), torch.randn(3, 6)
    text = "version: 1\nextends: default\nrules: [{name: k, match: {op: %s}, action: keep}]\n"
    snn = snnconvert.convert(model, (x,), parse_rules(text % kept), verify=False)
    found = snn.simulate(x, time_steps=4, until="settled")
    assert set(found.steps.tolist()) == {steps} and bool(found.done.all()) == done
    assert bool(found.done.any()) == done
    torch.testing.assert_close(found.outputs, snn.simulate(x, time_steps=4))


def test_a_threshold_that_falls_never_settles():
    snn, x, _ = converted("rectified", "multi_threshold, levels: 2, gain: inverse_time")
    assert not snn.simulate(x * 0, until="settled").done.any()


def test_a_network_without_neurons_has_settled_when_its_inputs_have_come():
    x = torch.randn(3, 6)
    snn = snnconvert.convert(Rectified().eval(), (x,), verify=False).requires_grad_(False)
    assert snn.simulate(x, time_steps=4, until="settled").steps.tolist() == [1, 1, 1]
    x[1] = 0
    found = snn.simulate(x, time_steps=4, until="settled", encoding="constant")
    assert found.steps.tolist() == [4, 1, 4] and found.done.all()


def test_a_neuron_that_keeps_silent_has_settled_with_the_first_step():
    snn, x, _ = converted("rectified", "st_bif, levels: 8")
    for name in ("a", "b"):
        getattr(snn, name).bias.zero_()
    assert snn.simulate(x * 0, until="settled").steps.tolist() == [1] * 7


class Early(Encoding):
    """All has arrived after three steps, and nothing comes in the second."""

    def cumulative(self, x, start, steps, total, name=""):
        shares = torch.tensor([0.25, 0.25, 1.0, *[1.0] * (total - 3)], dtype=x.dtype)
        return x.unsqueeze(0) * shares[start : start + steps].reshape(steps, *[1] * x.dim())


@pytest.mark.parametrize("encoding", [Early(), "constant"])
def test_nothing_settles_before_its_last_increment(encoding):
    snn, x, _ = converted("rectified", "sigma_delta, levels: 64")
    x[2] = 0
    found = snn.simulate(x, until="settled", encoding=encoding)
    assert found.steps[2] < 3  # to which nothing comes
    others = torch.cat([found.steps[:2], found.steps[3:]])
    assert others.min() >= (3 if isinstance(encoding, Early) else T)


def test_streams_that_start_inside_arrive_too():
    inputs = {"ids": torch.randint(0, 11, (4, 5)), "mask": torch.ones(4, 5, dtype=torch.long)}
    model = TinyLM().eval()
    with torch.no_grad():
        model.embed.weight[0] = 0
    inputs["ids"][1] = 0
    rules = rules_of("type: sigma_delta, levels: 64")
    snn = snnconvert.convert(model, inputs, rules, calibration=[inputs], verify=False)
    snn = snn.requires_grad_(False)
    assert snn.simulate(**inputs, until="settled").steps.max() < 4
    found = snn.simulate(**inputs, until="settled", encoding=Early())
    assert found.steps[1] < 3 <= min(found.steps[[0, 2, 3]].tolist()) and found.done.all()
    assert found.outputs["none"] is None and found.outputs["logits"].shape == (T, 4, 5, 11)


def test_the_state_of_step_is_left_alone():
    snn, x, _ = converted("rectified", "st_bif, levels: 8")
    first = snn.step(x)
    snn.simulate(x, until="settled")
    assert torch.equal(first + snn.step(x * 0), snn.simulate(x)[1])


def leads(scores, dim):
    first, second = scores.topk(2, dim).values.unbind(dim)
    return first - second


def test_a_margin_is_reached_by_the_scores_of_a_whole_run():
    snn, x, _ = converted("lstm", "st_bif, levels: 8")
    whole = [dict(zip("logits told h c".split(), ys, strict=True)) for ys, _ in one_by_one(snn, x)]
    margin = float(torch.stack([leads(y["logits"], 1) for y in whole]).median())
    found = snn.simulate(x, until=margin)
    assert 0 < found.done.sum() < 7 and found.steps.unique().numel() > 2
    for i in range(7):
        reached = [float(leads(y["logits"], 1)[i]) >= margin for y in whole]
        assert bool(found.done[i]) == any(reached)
        steps = reached.index(True) + 1 if any(reached) else T
        assert found.steps[i] == steps
        for t in range(T):
            wanted = whole[min(t, steps - 1)]
            for name, dim in {"logits": 0, "told": 1, "h": 1, "c": 1}.items():
                own = found.outputs[name][t]
                assert torch.equal(own.select(dim, i), wanted[name].select(dim, i))


def test_a_margin_is_of_every_position_of_the_output_that_is_named():
    snn, x, _ = converted("lstm", "st_bif, levels: 8")
    told = [ys[1] for ys, _ in one_by_one(snn, x)]
    margin = float(told[-1].topk(2, -1).values.diff(dim=-1).abs().min(0).values.median())
    found = snn.simulate(x, until=margin, output="told", classes=2)
    for i in range(7):
        reached = [bool((leads(y, 2)[:, i] >= margin).all()) for y in told]
        assert found.steps[i] == (reached.index(True) + 1 if any(reached) else T)
    assert 0 < found.done.sum() < 7


def test_scores_that_are_no_numbers_reach_no_margin():
    snn, x, _ = converted("rectified", "st_bif, levels: 8")
    snn.c.bias[0] = math.nan
    assert not snn.simulate(x, until=1e-9).done.any()
    snn.c.bias[0] = math.inf
    assert set(snn.simulate(x, until=1e9).steps.tolist()) == {1}


def test_gradients_pass_through_repeated_answers():
    snn, x, _ = converted("rectified", "st_bif, levels: 8")
    weight = snn.c.weight.requires_grad_()
    found = snn.simulate(x, until=0.2)
    (grad,) = torch.autograd.grad(found.outputs[-1].sum(), weight)
    assert grad.shape == weight.shape and bool(grad.any())


def test_a_margin_is_any_number():
    snn, x, _ = converted("rectified", "st_bif, levels: 8")
    wanted = snn.simulate(x, until=0.25)
    for until in (np.float32(0.25), np.float64(0.25), Fraction(1, 4)):
        assert torch.equal(snn.simulate(x, until=until).steps, wanted.steps)


ARRAY = np.array([1.0, 2.0])  # whose comparison with a word has no truth value


@pytest.mark.parametrize(
    "until", [0, -1.0, math.nan, math.inf, 10**400, True, "setled", "", [1.0], ARRAY]
)
def test_an_end_that_there_is_not_is_refused(until):
    snn, x, _ = converted("rectified", "st_bif, levels: 8")
    with pytest.raises(ArgumentError, match=r"until=.*'settled'.*number above 0"):
        snn.simulate(x, until=until)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"until": "settled", "time_steps": 0}, "time_steps must be a whole number"),
        ({"until": "settled", "output": 0}, "which a margin alone reads"),
        ({"classes": 1}, "which a margin alone reads"),
        ({"until": 1.0, "classes": 0}, "classes=0: a dimension of two classes or more"),
        ({"until": 1.0, "classes": 2}, "is no dimension of the output"),
        ({"until": 1.0, "output": "logits"}, "no output of this name"),
    ],
)
def test_what_does_not_go_together_is_refused(options, said):
    snn, x, _ = converted("rectified", "st_bif, levels: 8")
    with pytest.raises(InputError, match=said):
        snn.simulate(x, **options)


class Odd(nn.Module):
    """A score, one of one class, and one that no coded input reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(4, 1)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        y = self.map(x)
        return y.squeeze(-1), y, mask * 2.0


def test_outputs_without_class_scores_are_refused():
    x, mask = torch.randn(3, 4), torch.ones(3, 5, dtype=torch.bool)
    snn = snnconvert.convert(Odd().eval(), (x, mask), verify=False)
    with pytest.raises(InputError, match="has no batch, so no sample is done by it"):
        snn.simulate(x, mask, until=1.0, output=2)
    with pytest.raises(InputError, match=r"no output has classes.*until='settled'"):
        snn.simulate(x, mask, until=1.0, output=0)
    with pytest.raises(InputError, match="two classes or more"):
        snn.simulate(x, mask, until=1.0, output=1, classes=1)
    assert snn.simulate(x, mask, until="settled").outputs[2].shape == (snn.time_steps, 3, 5)


class Mixed(nn.Module):
    """Every sample depends on all."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.map(x) - self.map(x).mean(0, keepdim=True)


def test_samples_that_cannot_be_told_apart_are_refused():
    x = torch.randn(3, 4)
    for snn in (
        snnconvert.convert(Mixed().eval(), (x,), verify=False),
        snnconvert.convert(nn.Linear(4, 3).eval(), (x,), batch_dims={0: None}, verify=False),
    ):
        with pytest.raises(InputError, match=r"cannot be told apart: .*Leave until= out"):
            snn.simulate(x, until="settled")


class Named(nn.Module):
    """An input with the name of an argument."""

    def forward(self, x: Tensor, until: Tensor) -> Tensor:
        return x * until


def test_an_input_of_that_name_is_refused():
    x = torch.randn(3, 4)
    snn = snnconvert.convert(Named().eval(), {"x": x, "until": x}, verify=False)
    with pytest.raises(InputError, match="'until' has the name of an argument of simulate"):
        snn.simulate(x=x, until=x)


def test_a_neuron_of_the_users_own_that_does_not_say_is_not_trusted():
    snn, x, _ = converted("rectified", "integrate_and_fire")

    class Own(nn.Module):
        def track(self, x, *where):
            return x

    path = next(iter(snn.conversion.neurons.values()))
    parent, _, name = path.rpartition(".")
    assert isinstance(snn.tree.get_submodule(path), IntegrateAndFire)
    setattr(snn.tree.get_submodule(parent), name, Own())
    assert not snn.simulate(x, until="settled").done.any()
