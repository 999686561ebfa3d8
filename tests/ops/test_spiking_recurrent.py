"""The spiking recurrent layers and cells against their equations, with every option."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from snnconvert import ops
from snnconvert.errors import InputError
from snnconvert.ops.surrogate import ATan, Sigmoid, Surrogate

B, L, N, H, P = 3, 4, 5, 4, 2
LENGTHS = [2, 4, 3]
LAYERS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "lstm": (ops.SpikingLSTM, nn.LSTM, {}),
    "lstm projected": (ops.SpikingLSTM, nn.LSTM, {"proj_size": P}),
    "gru": (ops.SpikingGRU, nn.GRU, {}),
    "rnn": (ops.SpikingRNN, nn.RNN, {}),
}
CELLS: dict[str, tuple[Any, Any]] = {
    "lstm": (ops.SpikingLSTMCell, nn.LSTMCell),
    "gru": (ops.SpikingGRUCell, nn.GRUCell),
    "rnn": (ops.SpikingRNNCell, nn.RNNCell),
}
every_layer = pytest.mark.parametrize("name", LAYERS)
every_cell = pytest.mark.parametrize("name", CELLS)


class ReferenceStep(torch.autograd.Function):
    """1 from 0 on; backward the derivative of an arctangent (alpha 2) or a sigmoid (alpha 4)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, smooth: str) -> Tensor:
        ctx.save_for_backward(x)
        ctx.smooth = smooth
        return (x >= 0).double()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        if ctx.smooth == "atan":
            return grad / (1 + (math.pi * x) ** 2), None
        return grad * 4 * torch.sigmoid(4 * x) * (1 - torch.sigmoid(4 * x)), None


def _step(x: Tensor, smooth: str = "atan") -> Tensor:
    result: Tensor = ReferenceStep.apply(x, smooth)
    return result


def _position(
    kind: str, x: Tensor, state: list[Tensor], w: dict[str, Tensor | None], second: str
) -> list[Tensor]:
    """The equations, for one sample at one position."""
    gates = 4 if kind.startswith("lstm") else 3 if kind == "gru" else 1

    def rows(name: str, gate: int, v: Tensor | None = None) -> Any:
        tensor = w[name]
        if tensor is None:
            return 0.0
        block = tensor[gate * len(tensor) // gates : (gate + 1) * len(tensor) // gates]
        return block if v is None else block @ v

    def from_x(gate: int) -> Any:
        return rows("weight_ih", gate, x) + rows("bias_ih", gate)

    def from_h(gate: int) -> Any:
        return rows("weight_hh", gate, state[0]) + rows("bias_hh", gate)

    if kind.startswith("lstm"):
        i, f, o = (_step(from_x(k) + from_h(k)) for k in (0, 1, 3))
        g = _step(from_x(2) + from_h(2), second)
        c = f * state[1] + i * g
        h = o * c
        return [h if w["weight_hr"] is None else w["weight_hr"] @ h, c]
    if kind == "gru":
        r, z = (_step(from_x(k) + from_h(k)) for k in (0, 1))
        n = _step(from_x(2) + r * from_h(2), second)
        return [(1 - z) * n + z * state[0]]
    return [_step(from_x(0) + from_h(0))]


def _weights(layer: nn.Module, suffix: str) -> dict[str, Tensor | None]:
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
    return {name: getattr(layer, f"{name}{suffix}", None) for name in names}


def reference(
    kind: str,
    layer: Any,
    sequences: list[Tensor],
    states: list[Tensor],
    masks: list[Tensor] | None = None,
    second: str = "atan",
) -> tuple[list[Tensor], list[Tensor]]:
    """Run each sequence ``[l, F]`` alone; outputs ``[l, D H]`` and states ``[layers D, B, H]``.

    ``masks`` are multiplied to the output of each layer but the last, ``[L, B, D H]``.
    """
    outputs = []
    finals: list[list[list[Tensor]]] = []
    for sample, sequence in enumerate(sequences):
        x, final = list(sequence), []
        for number in range(layer.num_layers):
            if number and masks is not None:
                x = [v * masks[number - 1][t, sample] for t, v in enumerate(x)]
            sides = []
            for direction in range(2 if layer.bidirectional else 1):
                w = _weights(layer, f"_l{number}" + ("_reverse" if direction else ""))
                state = [s[len(final), sample] for s in states]
                seen: dict[int, Tensor] = {}
                for t in reversed(range(len(x))) if direction else range(len(x)):
                    state = _position(kind, x[t], state, w, second)
                    seen[t] = state[0]
                sides.append(seen)
                final.append(state)
            x = [torch.cat([side[t] for side in sides]) for t in range(len(x))]
        outputs.append(torch.stack(x))
        finals.append(final)
    rows, parts = range(len(finals[0])), range(len(states))
    return outputs, [
        torch.stack([torch.stack([final[row][i] for final in finals]) for row in rows])
        for i in parts
    ]


def _random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


def made(name: str, **options: Any) -> Any:
    layer, _, fixed = LAYERS[name]
    built = layer(N, H, **fixed, **options, dtype=torch.float64)
    for index, parameter in enumerate(built.parameters()):
        parameter.data.copy_(_random(*parameter.shape, seed=index))
    return built


def _states(layer: Any) -> list[Tensor]:
    rows = layer.num_layers * (2 if layer.bidirectional else 1)
    h = _random(rows, B, layer.proj_size or H, seed=101)
    return [h, _random(rows, B, H, seed=102)][: 2 if layer.mode == "LSTM" else 1]


def _joined(states: list[Tensor]) -> Any:
    return states[0] if len(states) == 1 else tuple(states)


def _list(state: Any) -> list[Tensor]:
    return list(state) if isinstance(state, tuple) else [state]


def _assert_close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)


def _forms(layer: Any) -> Iterator[tuple[str, Any, list[Tensor]]]:
    """Each form of an input, and its sequences one by one."""
    x = _random(B, L, N, seed=7)
    arranged = x if layer.batch_first else x.transpose(0, 1)
    yield "batched", arranged, list(x)
    yield "unbatched", x[0], [x[0]]
    for is_sorted in (True, False):
        lengths = sorted(LENGTHS, reverse=True) if is_sorted else LENGTHS
        packed = pack_padded_sequence(
            arranged, torch.tensor(lengths), layer.batch_first, enforce_sorted=is_sorted
        )
        yield "packed", packed, [s[:n] for s, n in zip(x, lengths, strict=True)]


def assert_is_reference(name: str, layer: Any) -> None:
    for form, x, sequences in _forms(layer):
        zeros = [torch.zeros_like(s) for s in _states(layer)]
        for given, states in ((None, zeros), (_states(layer), _states(layer))):
            outputs, finals = reference(name, layer, sequences, states)
            if form == "unbatched":
                hx = None if given is None else _joined([s[:, 0] for s in given])
                output, final = layer(x, hx)
                _assert_close(output, outputs[0])
                finals = [f.squeeze(1) for f in finals]
            else:
                output, final = layer(x, None if given is None else _joined(given))
                if form == "packed":
                    assert isinstance(output, PackedSequence)
                    output, _ = pad_packed_sequence(output, layer.batch_first)
                rows = output if layer.batch_first else output.transpose(0, 1)
                for row, wanted in zip(rows, outputs, strict=True):
                    _assert_close(row[: len(wanted)], wanted)
            assert isinstance(final, tuple) == (layer.mode == "LSTM")
            for got, wanted in zip(_list(final), finals, strict=True):
                _assert_close(got, wanted)


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
@every_layer
def test_equals_the_equations_with_every_option(
    name: str, bidirectional: bool, layers: int
) -> None:
    for bias, batch_first in itertools.product([True, False], [False, True]):
        layer = made(
            name,
            num_layers=layers,
            bidirectional=bidirectional,
            bias=bias,
            batch_first=batch_first,
        )
        assert_is_reference(name, layer)


@every_layer
def test_mutation_a_wrong_gate_fails(name: str) -> None:
    layer = made(name)
    layer.weight_ih_l0 = nn.Parameter(layer.weight_ih_l0.flip(0))
    wrong = copy.deepcopy(layer)
    wrong.weight_ih_l0 = nn.Parameter(layer.weight_ih_l0.flip(0))
    (_, x, sequences), *_ = _forms(layer)
    zeros = [torch.zeros_like(s) for s in _states(layer)]
    outputs, _ = reference(name, layer, sequences, zeros)
    with pytest.raises(AssertionError):
        _assert_close(wrong(x)[0].transpose(0, 1), torch.stack(outputs))


@pytest.mark.parametrize("second", ["atan", "sigmoid"])
@every_layer
def test_gradients_are_those_of_the_equations(name: str, second: str) -> None:
    layer = made(name, num_layers=2, bidirectional=True, surrogate_function2=second)
    x = _random(L, B, N, seed=7).requires_grad_()
    states = [s.requires_grad_() for s in _states(layer)]
    inputs = [x, *states, *layer.parameters()]
    output, final = layer(x, _joined(states))
    weight = _random(*output.shape, seed=8)
    got = torch.autograd.grad((output * weight).sum() + _list(final)[-1].sum(), inputs)
    outputs, finals = reference(name, layer, list(x.unbind(1)), states, second=second)
    loss = (torch.stack(outputs, 1) * weight).sum() + finals[-1].sum()
    for actual, wanted in zip(got, torch.autograd.grad(loss, inputs), strict=True):
        assert wanted.abs().max() > 0, "no gradient flows: this proves nothing"
        _assert_close(actual, wanted)


@pytest.mark.parametrize("form", ["batched", "packed"])
@pytest.mark.parametrize("invariant", [True, False], ids=["one mask", "a mask each"])
@pytest.mark.parametrize("bidirectional", [False, True])
@every_layer
def test_dropout_is_between_all_layers(
    name: str, bidirectional: bool, invariant: bool, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = made(
        name,
        num_layers=3,
        dropout=0.4,
        bidirectional=bidirectional,
        invariant_dropout_mask=invariant,
    )
    drawn: list[Tensor] = []

    def fake(x: Tensor, p: float, *_: Any) -> Tensor:
        assert p == 0.4
        drawn.append((_random(*x.shape, seed=len(drawn)) > 0).double() / 0.6)
        return x * drawn[-1]

    monkeypatch.setattr(F, "dropout", fake)
    _, x, sequences = next(f for f in _forms(layer) if f[0] == form)
    width = (layer.proj_size or H) * (2 if bidirectional else 1)
    output, _ = layer(x)
    assert {m.shape[-1] for m in drawn} == {width}
    assert len(drawn) == 2 * (1 if invariant else L)
    masks = []
    for boundary in range(2):
        own = drawn[boundary::2][:1] * L if invariant else drawn[boundary * L :][:L]
        padded = [F.pad(m, (0, 0, 0, B - len(m))) for m in own]
        masks.append(torch.stack(padded))
    zeros = [torch.zeros_like(s) for s in _states(layer)]
    outputs, _ = reference(name, layer, sequences, zeros, masks)
    if form == "packed":
        output, _ = pad_packed_sequence(output)
    for row, wanted in zip(output.transpose(0, 1), outputs, strict=True):
        _assert_close(row[: len(wanted)], wanted)


@every_layer
def test_no_dropout_in_eval(name: str) -> None:
    layer = made(name, num_layers=2, dropout=0.9).eval()
    assert_is_reference(name, layer)


def test_dropout_draws_anew_for_each_position_or_once() -> None:
    torch.manual_seed(0)
    for invariant in (True, False):
        layer = ops.SpikingRNN(1, 200, 2, dropout=0.5, invariant_dropout_mask=invariant)
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.zero_()  # every gate is on: step(0) = 1
            layer.weight_ih_l1.copy_(torch.eye(200))
            layer.bias_ih_l1.fill_(-1.0)  # on where the input is kept
        output, _ = layer(torch.zeros(5, 1, 1))
        assert output.unique(dim=0).shape[0] == (1 if invariant else 5)
        assert 0.35 < output.mean() < 0.65


@every_layer
def test_from_ann_shares_the_parameters_and_options(name: str) -> None:
    spiking, module, fixed = LAYERS[name]
    options = {"num_layers": 2, "bidirectional": True, "batch_first": True, "dropout": 0.25}
    ann = module(N, H, **options, **fixed)
    layer = spiking.from_ann(ann, surrogate_function1="sigmoid", invariant_dropout_mask=True)
    assert list(layer.state_dict()) == list(ann.state_dict())
    own = dict(layer.named_parameters())
    assert all(own[key] is parameter for key, parameter in ann.named_parameters())
    assert layer.surrogate_function1 == layer.surrogate_function2 == Sigmoid()
    assert layer.invariant_dropout_mask and layer.dropout == 0.25 and layer.batch_first
    x = torch.randn(B, L, N)
    layer.eval()
    again = spiking(N, H, **options, **fixed).eval()
    again.load_state_dict(ann.state_dict())
    torch.testing.assert_close(layer(x), again(x))
    layer.weight_ih_l0 = nn.Parameter(torch.zeros_like(layer.weight_ih_l0))
    assert ann._flat_weights[0] is ann.weight_ih_l0


@every_layer
def test_trains_copies_and_is_saved(name: str) -> None:
    layer = made(name, num_layers=2)
    optimizer = torch.optim.SGD(layer.parameters(), 0.1)
    x = _random(L, B, N)
    before = copy.deepcopy(layer.state_dict())
    (layer(x)[0] ** 2).sum().backward()
    optimizer.step()
    assert any(not torch.equal(before[k], v) for k, v in layer.state_dict().items())
    torch.testing.assert_close(copy.deepcopy(layer)(x), layer(x))


@every_layer
def test_a_surrogate_is_every_layers_own(name: str) -> None:
    first, second = made(name), made(name)
    assert first.surrogate_function1 is not second.surrogate_function1
    assert first.surrogate_function1 == ATan()
    with pytest.raises(InputError, match="unknown surrogate 'atanh'"):
        made(name, surrogate_function1="atanh")
    given: Surrogate = Sigmoid(2.0)
    assert made(name, surrogate_function2=given).surrogate_function2 is given


@pytest.mark.parametrize(
    ("x", "hx", "message"),
    [
        (torch.zeros(L, B, N + 1), None, r"\[L, B, 5\] or \[L, 5\].*received \[4, 3, 6\]"),
        (torch.zeros(L, N + 1), None, r"received \[4, 6\]"),
        (torch.zeros(N), None, r"received \[5\]"),
        (torch.zeros(2, L, B, N), None, r"received \[2, 4, 3, 5\]"),
        (torch.zeros(0, B, N), None, "at least one position"),
        (torch.zeros(L, B, N), torch.zeros(1, B, H), r"of shape \[1, 3, 4\] and \[1, 3, 4\]"),
        (torch.zeros(L, N), (torch.zeros(1, B, H),) * 2, r"of shape \[1, 4\] and \[1, 4\]"),
    ],
)
def test_errors(x: Tensor, hx: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ops.SpikingLSTM(N, H)(x, hx)


def test_a_gru_has_no_projection() -> None:
    with pytest.raises(InputError, match="proj_size is of an LSTM only"):
        ops.SpikingGRU(N, H, proj_size=2)


@pytest.mark.parametrize("batch", [(B,), ()], ids=["batched", "unbatched"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@every_cell
def test_cells_equal_the_equations(name: str, bias: bool, batch: tuple[int, ...]) -> None:
    spiking, module = CELLS[name]
    ann = module(N, H, bias=bias, dtype=torch.float64)
    for index, parameter in enumerate(ann.parameters()):
        parameter.data.copy_(_random(*parameter.shape, seed=index))
    cell = spiking.from_ann(ann, surrogate_function2="sigmoid")
    assert all(a is b for a, b in zip(cell.parameters(), ann.parameters(), strict=True))
    x = _random(*batch, N, seed=7).requires_grad_()
    states = [_random(*batch, H, seed=s) for s in (8, 9)][: cell.states]
    w = _weights(cell, "")
    for given in (None, states):
        found = _list(cell(x, None if given is None else _joined(given)))
        start = given or [torch.zeros(*batch, H, dtype=torch.float64)] * cell.states
        rows = x.reshape(-1, N)
        wanted = [
            _position(name, rows[i], [s.reshape(-1, H)[i] for s in start], w, "sigmoid")
            for i in range(len(rows))
        ]
        for part, got in enumerate(found):
            expected = torch.stack([row[part] for row in wanted]).reshape(*batch, H)
            _assert_close(got, expected)
        (got_grad,) = torch.autograd.grad(sum(h.sum() for h in found), x)
        (want_grad,) = torch.autograd.grad(sum(h.sum() for row in wanted for h in row), x)
        assert want_grad.abs().max() > 0
        _assert_close(got_grad, want_grad)


def test_errors_of_cells() -> None:
    with pytest.raises(InputError, match=r"\[B, 5\] or \[5\].*received \[3, 6\]"):
        ops.SpikingLSTMCell(N, H)(torch.zeros(B, N + 1))
    with pytest.raises(InputError, match=r"of shape \[3, 4\] and \[3, 4\], received \[3, 4\]"):
        ops.SpikingLSTMCell(N, H)(torch.zeros(B, N), torch.zeros(B, H))


def test_inputs_may_be_named_as_in_torch() -> None:
    x = torch.randn(2, 1, 3)
    for layer in (ops.SpikingLSTM(3, 4), ops.SpikingGRU(3, 4), ops.SpikingRNN(3, 4)):
        assert torch.equal(layer(input=x, hx=None)[0], layer(x)[0])
    cell = ops.SpikingLSTMCell(3, 4)
    assert torch.equal(cell(input=x[0])[0], cell(x[0])[0])
