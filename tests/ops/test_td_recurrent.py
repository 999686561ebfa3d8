"""The TD recurrent layers and cells against torch.nn, with every combination of its options."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.utils._pytree as pytree
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from snnconvert import ops
from snnconvert.errors import ConversionError, InputError, StateError

# torch says so of a projected LSTM in single precision.
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported")

T, B, L, F, H, P = 3, 3, 4, 5, 4, 2
LENGTHS = torch.tensor([2, 4, 3])

Options = dict[str, Any]
LAYERS: dict[str, tuple[type[ops.TDOperator], type[nn.RNNBase], Options]] = {
    "lstm": (ops.TDLSTM, nn.LSTM, {}),
    "lstm projected": (ops.TDLSTM, nn.LSTM, {"proj_size": P}),
    "gru": (ops.TDGRU, nn.GRU, {}),
    "rnn tanh": (ops.TDRNN, nn.RNN, {}),
    "rnn relu": (ops.TDRNN, nn.RNN, {"nonlinearity": "relu"}),
}
CELLS: dict[str, tuple[type[ops.TDOperator], Callable[..., nn.Module], Options]] = {
    "lstm": (ops.TDLSTMCell, nn.LSTMCell, {}),
    "gru": (ops.TDGRUCell, nn.GRUCell, {}),
    "rnn tanh": (ops.TDRNNCell, nn.RNNCell, {}),
    "rnn relu": (ops.TDRNNCell, nn.RNNCell, {"nonlinearity": "relu"}),
}
INPUTS = ["batched", "unbatched", "packed", "packed unsorted"]
every_layer = pytest.mark.parametrize("name", LAYERS)
every_cell = pytest.mark.parametrize("name", CELLS)


def _random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


def _layer(name: str, **options: Any) -> tuple[Any, Any]:
    operator, module, fixed = LAYERS[name]
    torch.manual_seed(0)
    ann = module(F, H, **fixed, **options).double().eval()
    return operator.from_ann(ann), ann


def _increments(ann: nn.RNNBase, form: str) -> Any:
    """Random signed increments of one form, time first."""
    if form == "unbatched":
        return _random(T, L, F)
    if form == "batched":
        return _random(T, B, L, F) if ann.batch_first else _random(T, L, B, F)
    lengths = LENGTHS if form == "packed unsorted" else LENGTHS.sort(descending=True).values
    steps = [
        pack_padded_sequence(x, lengths, True, enforce_sorted=form == "packed")
        for x in _random(T, B, L, F)
    ]
    return steps[0]._replace(data=torch.stack([step.data for step in steps]))


def _at(x_seq: Any, choose: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(x_seq, PackedSequence):
        return x_seq._replace(data=choose(x_seq.data))
    return choose(x_seq)


def _states(ann: nn.RNNBase, form: str, *time: int) -> Any:
    rows = ann.num_layers * (2 if ann.bidirectional else 1)
    batch = [] if form == "unbatched" else [B]
    h = _random(*time, rows, *batch, ann.proj_size or H, seed=1)
    c = _random(*time, rows, *batch, H, seed=2)
    return (h, c) if ann.mode == "LSTM" else h


def _assert_same(got: Any, wanted: Any) -> None:
    assert type(got) is type(wanted)
    pairs = zip(pytree.tree_leaves(got), pytree.tree_leaves(wanted), strict=True)
    for actual, expected in pairs:
        if not (isinstance(expected, Tensor) and expected.is_floating_point()):
            assert torch.equal(actual, expected) if isinstance(expected, Tensor) else not actual
            continue
        assert actual.shape == expected.shape
        assert expected.abs().max() > 1e-3, "the reference is degenerate: it proves nothing"
        error = (actual - expected).abs().max() / expected.abs().max()
        assert error <= 1e-9, f"relative error {error:.2e}"


def _summed(y_seq: Any) -> Any:
    """Cumulative outputs; what is not a stream (the packing) stays."""

    def total(leaf: Any) -> Any:
        floating = isinstance(leaf, Tensor) and leaf.is_floating_point()
        return leaf.cumsum(0) if floating else leaf

    return pytree.tree_map(total, y_seq)


def _choose(y_seq: Any, t: int) -> Any:
    def leaf(x: Any) -> Any:
        return x[t] if isinstance(x, Tensor) and x.is_floating_point() else x

    return pytree.tree_map(leaf, y_seq)


def _runs(ann: nn.RNNBase, form: str) -> Iterator[tuple[tuple[Any, ...], dict[str, Any], Any]]:
    """Positional and named arguments of a call, and the initial states at each step."""
    held = _states(ann, form)
    streams = _states(ann, form, T)
    yield (), {}, lambda t: None
    yield (), {"hx": held}, lambda t: held
    yield (streams,), {}, lambda t: pytree.tree_map(lambda h: h[: t + 1].sum(0), streams)


def _assert_layer(operator: Any, ann: Any, form: str) -> None:
    x_seq = _increments(ann, form)
    for streams, held, state_at in _runs(ann, form):
        y_seq = operator(x_seq, *streams, **held)
        total = _summed(y_seq)
        operator.reset()
        for t in range(T):
            cumulative = _at(x_seq, lambda x, t=t: x[: t + 1].sum(0))
            wanted = ann(cumulative, state_at(t))
            _assert_same(_choose(total, t), wanted)
            _assert_same(operator.cumulative(cumulative, state_at(t)), wanted)
            now = [pytree.tree_map(lambda h, t=t: h[t], s) for s in streams]
            stepped = operator.step(_at(x_seq, lambda x, t=t: x[t]), *now, **held)
            _assert_same(stepped, _choose(y_seq, t))


@pytest.mark.parametrize("form", INPUTS)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
@every_layer
def test_every_option_in_all_three_forms(
    name: str, bidirectional: bool, layers: int, form: str
) -> None:
    for bias, batch_first in itertools.product([True, False], [False, True]):
        options = {"num_layers": layers, "bidirectional": bidirectional}
        _assert_layer(*_layer(name, bias=bias, batch_first=batch_first, **options), form)


@every_layer
def test_mutation_a_state_of_its_own_time_fails(name: str) -> None:
    """Where the recurrence runs over T as well as over L, the comparison must see it."""
    operator, ann = _layer(name)
    x_seq = _increments(ann, "batched")
    merged = operator.cumulative(x_seq.cumsum(0).flatten(0, 1))[0].unflatten(0, (T, L))
    with pytest.raises(AssertionError, match="relative error"):
        _assert_same(merged[-1], ann(x_seq.sum(0))[0])


@every_layer
def test_train_mode_draws_no_dropout(name: str) -> None:
    operator, ann = _layer(name, num_layers=2, dropout=0.9)
    operator.train()
    _assert_layer(operator, ann, "batched")


@every_layer
def test_made_by_hand_has_the_constructor_of_torch_nn(name: str) -> None:
    operator, _, fixed = LAYERS[name]
    made: Any = operator(F, H, 2, batch_first=True, bidirectional=True, **fixed)
    output, _ = made.double()(_random(T, B, L, F))
    assert output.shape == (T, B, L, 2 * (fixed.get("proj_size") or H))
    assert list(operator.from_ann(LAYERS[name][1](F, H, **fixed)).state_dict()) == list(
        LAYERS[name][1](F, H, **fixed).state_dict()
    )


@every_layer
def test_shares_parameters_but_not_the_list_of_them(name: str) -> None:
    operator, ann = _layer(name)
    assert all(a is b for a, b in zip(operator.parameters(), ann.parameters(), strict=True))
    operator.weight_ih_l0 = nn.Parameter(torch.zeros_like(ann.weight_ih_l0))
    assert ann._flat_weights[0] is ann.weight_ih_l0
    assert operator.cumulative(_random(L, F))[0].abs().sum() != ann(_random(L, F))[0].abs().sum()


@every_layer
def test_copies_carry_the_state(name: str) -> None:
    operator, ann = _layer(name)
    x_seq = _increments(ann, "batched")
    expected = operator(x_seq)
    operator.step(x_seq[0])
    again = copy.deepcopy(operator)
    assert again.weight_ih_l0 is not operator.weight_ih_l0
    _assert_same(again.step(x_seq[1]), _choose(expected, 1))


@every_layer
def test_gradients(name: str) -> None:
    operator, ann = _layer(name, num_layers=2, bidirectional=True)
    x_seq = _increments(ann, "batched").requires_grad_()

    def run(*_: Tensor) -> tuple[Tensor, ...]:
        return tuple(pytree.tree_leaves(operator(x_seq)))

    assert torch.autograd.gradcheck(run, (x_seq, *operator.parameters()), fast_mode=True)


@every_layer
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_dtype_is_kept(name: str, dtype: torch.dtype) -> None:
    operator, ann = _layer(name)
    operator = copy.deepcopy(operator).to(dtype)
    x_seq = _increments(ann, "batched") * 0.5
    output, _ = operator(x_seq.to(dtype))
    wanted, _ = ann(x_seq.sum(0))
    assert output.dtype is dtype
    assert (output.double().sum(0) - wanted).abs().max() < 50 * torch.finfo(dtype).eps


@pytest.mark.parametrize(
    ("arguments", "held", "message"),
    [
        ((torch.zeros(T, L, B, F + 1),), {}, r"\[L, B, 5\].*input_size=5.*received \[4, 3, 6\]"),
        ((torch.zeros(F, F),), {}, r"received \[5\]"),
        ((torch.zeros(T, L, B, F).long(),), {}, "floating point"),
        ((torch.zeros(T, L, B, F), torch.zeros(T, 1, B, H)), {}, "expected initial states"),
        ((torch.zeros(T, L, B, F), (torch.zeros(T, 1, B, H),) * 3), {}, "expected initial states"),
        (
            (torch.zeros(T, L, B, F),),
            {"hx": (torch.zeros(T, 1, B, H),) * 2},
            r"one time step.*of shape \[1, 3, 4\] and \[1, 3, 4\], received",
        ),
        (
            (torch.zeros(T, L, B, F), (torch.zeros(2, 1, B, H),) * 2),
            {},
            r"same number of time steps.*\[3, 2, 2\]",
        ),
        ((torch.zeros(T, L, B, F), torch.zeros(1), torch.zeros(1)), {}, "2 by position"),
        (
            (torch.zeros(T, L, B, F), (torch.zeros(T, 1, B, H),) * 2),
            {"hx": (torch.zeros(1, B, H),) * 2},
            "one argument.*and hx",
        ),
    ],
)
def test_errors(arguments: tuple[Any, ...], held: Options, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ops.TDLSTM(F, H)(*arguments, **held)


def test_errors_of_packed_sequences_and_of_changed_steps() -> None:
    operator, ann = _layer("lstm")
    packed = _increments(ann, "packed")
    with pytest.raises(InputError, match=r"packed \[\d+, 5\]"):
        operator(packed._replace(data=packed.data[..., 1:]))
    operator.step(_random(L, B, F))
    with pytest.raises(StateError, match=r"reset\(\)"):
        operator.step(_random(L + 1, B, F))


def test_from_call_refuses_a_layer_that_draws_at_random() -> None:
    params = list(nn.LSTM(F, H, 2).parameters())
    with pytest.raises(ConversionError, match=r"dropout.*eval"):
        ops.TDLSTM.from_call(params=params, has_biases=True, num_layers=2, dropout=0.5, train=True)


def _cell(name: str, **options: Any) -> tuple[Any, Any]:
    operator, module, fixed = CELLS[name]
    torch.manual_seed(0)
    ann = module(F, H, **fixed, **options).double().eval()
    return operator.from_ann(ann), ann


@pytest.mark.parametrize("batch", [(B,), ()], ids=["batched", "unbatched"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@every_cell
def test_every_cell_in_all_three_forms(name: str, bias: bool, batch: tuple[int, ...]) -> None:
    operator, ann = _cell(name, bias=bias)
    x_seq = _random(T, *batch, F)
    states = (_random(*batch, H, seed=1), _random(*batch, H, seed=2))
    held = states if name == "lstm" else states[0]
    seqs = (_random(T, *batch, H, seed=3), _random(T, *batch, H, seed=4))
    streams = seqs if name == "lstm" else seqs[0]
    for given, kept in [((), {}), ((), {"hx": held}), ((streams,), {})]:
        y_seq = operator(x_seq, *given, **kept)
        total = _summed(y_seq)
        operator.reset()
        for t in range(T):
            sums = [pytree.tree_map(lambda h, t=t: h[: t + 1].sum(0), s) for s in given]
            state = sums[0] if sums else kept.get("hx")
            wanted = ann(x_seq[: t + 1].sum(0), state)
            _assert_same(_choose(total, t), wanted)
            _assert_same(operator.cumulative(x_seq[: t + 1].sum(0), state), wanted)
            now = [pytree.tree_map(lambda h, t=t: h[t], s) for s in given]
            _assert_same(operator.step(x_seq[t], *now, **kept), _choose(y_seq, t))


@every_cell
def test_gradients_of_cells(name: str) -> None:
    operator, _ = _cell(name)
    x_seq = _random(T, B, F).requires_grad_()

    def run(*_: Tensor) -> tuple[Tensor, ...]:
        return tuple(pytree.tree_leaves(operator(x_seq)))

    assert torch.autograd.gradcheck(run, (x_seq, *operator.parameters()), fast_mode=True)


@pytest.mark.parametrize(
    ("arguments", "held", "message"),
    [
        ((torch.zeros(T, B, F + 1),), {}, r"\[B, 5\] or \[5\].*received \[3, 6\]"),
        ((torch.zeros(T, L, B, F),), {}, "one position of a sequence"),
        ((torch.zeros(T, B, F), torch.zeros(T, B, H)), {}, "expected states"),
        ((torch.zeros(T, B, F),), {"hx": (torch.zeros(T, B, H),) * 2}, r"\[3, 4\] and \[3, 4\]"),
    ],
)
def test_errors_of_cells(arguments: tuple[Any, ...], held: Options, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ops.TDLSTMCell(F, H)(*arguments, **held)


def test_a_step_in_another_packing_is_an_error() -> None:
    operator = ops.TDLSTM(5, 3)
    one, other = (
        pack_padded_sequence(torch.randn(4, 2, 5), torch.tensor(lengths), enforce_sorted=True)
        for lengths in ([3, 2], [4, 1])
    )
    operator.step(one)
    operator.step(one)
    with pytest.raises(StateError, match="not packed as those of earlier steps"):
        operator.step(other)
    operator.reset()
    operator.step(other)


def test_data_that_does_not_fill_its_packing_is_an_error() -> None:
    packed = pack_padded_sequence(torch.randn(3, 2, 5), torch.tensor([3, 2]))
    with pytest.raises(InputError, match=r"packed \[5, 5\]"):
        ops.TDLSTM(5, 3).step(packed._replace(data=torch.randn(7, 5)))
