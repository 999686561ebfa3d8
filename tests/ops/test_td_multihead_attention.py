"""TDMultiheadAttention against torch.nn.MultiheadAttention in all that it does in eval."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from snnconvert.errors import InputError
from snnconvert.ops import TDMultiheadAttention

T, B, L, S, HEADS, E = 3, 2, 4, 5, 2, 6

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "no bias": {"bias": False},
    "kdim, vdim": {"kdim": 3, "vdim": 5},
    "kdim, no bias": {"kdim": 3, "bias": False},
    "bias_kv": {"add_bias_kv": True},
    "zero_attn": {"add_zero_attn": True},
    "bias_kv, zero_attn": {"add_bias_kv": True, "add_zero_attn": True},
    "dropout": {"dropout": 0.5},
}


def _mask(*shape: int, kind: str) -> Tensor:
    values = torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    if kind == "float":
        return values
    mask = values > 0.3
    mask[..., 0] = False  # no row may be masked as a whole
    return mask


def _masks(batched: bool) -> dict[str, dict[str, Any]]:
    batch = [B] if batched else []
    rows = HEADS * (B if batched else 1)
    return {
        "no mask": {},
        "2-D bool": {"attn_mask": _mask(L, S, kind="bool")},
        "3-D float": {"attn_mask": _mask(rows, L, S, kind="float")},
        "3-D bool": {"attn_mask": _mask(rows, L, S, kind="bool")},
        "padding bool": {"key_padding_mask": _mask(*batch, S, kind="bool")},
        "padding float, 2-D float": {
            "key_padding_mask": _mask(*batch, S, kind="float"),
            "attn_mask": _mask(L, S, kind="float"),
        },
        "padding bool, 3-D bool": {
            "key_padding_mask": _mask(*batch, S, kind="bool"),
            "attn_mask": _mask(rows, L, S, kind="bool"),
        },
    }


def _ann(batch_first: bool = False, **variant: Any) -> nn.MultiheadAttention:
    torch.manual_seed(0)
    ann = nn.MultiheadAttention(E, HEADS, batch_first=batch_first, **variant).double().eval()
    for parameter in ann.parameters():
        nn.init.normal_(parameter)
    return ann


def _streams(ann: nn.MultiheadAttention, batched: bool) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)

    def increments(length: int, features: int) -> Tensor:
        batch_first = [T, B, length, features] if ann.batch_first else [T, length, B, features]
        shape = batch_first if batched else [T, length, features]
        return torch.randn(shape, dtype=torch.float64, generator=generator)

    return [increments(L, E), increments(S, ann.kdim), increments(S, ann.vdim)]


def _assert_exact(
    forward: Callable[..., Any], ann: nn.Module, x_seq: list[Tensor], held: dict[str, Any]
) -> None:
    outputs = forward(*x_seq, **held)
    for t in range(T):
        expected = ann(*(x[: t + 1].sum(0) for x in x_seq), **held)
        for y_seq, wanted in zip(outputs, expected, strict=True):
            assert (y_seq is None) == (wanted is None)
            if wanted is not None:
                assert wanted.std() > 1e-3
                torch.testing.assert_close(y_seq.cumsum(0)[t], wanted, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("batch_first", [True, False], ids=["batch first", "tokens first"])
@pytest.mark.parametrize("batched", [True, False], ids=["batched", "unbatched"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_exact_with_every_mask(variant: str, batched: bool, batch_first: bool) -> None:
    ann = _ann(batch_first, **VARIANTS[variant])
    operator = TDMultiheadAttention.from_ann(ann)
    x_seq = _streams(ann, batched)
    weights = [{}, {"average_attn_weights": False}, {"need_weights": False}]
    for mask, weight in itertools.product(_masks(batched).values(), weights):
        held = {**mask, **weight}
        _assert_exact(operator, ann, x_seq, held)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("need_weights", [True, False])
def test_causal_hint(need_weights: bool, batch_first: bool) -> None:
    ann = _ann(batch_first)
    x_seq = [_streams(ann, True)[0]] * 3
    mask = nn.Transformer.generate_square_subsequent_mask(L, dtype=torch.float64)
    held = {"attn_mask": mask, "is_causal": True, "need_weights": need_weights}
    _assert_exact(TDMultiheadAttention.from_ann(ann), ann, x_seq, held)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("mask", _masks(True))
def test_step_equals_forward(mask: str, batched: bool, batch_first: bool) -> None:
    ann = _ann(batch_first)
    operator = TDMultiheadAttention.from_ann(ann)
    x_seq, held = _streams(ann, batched), _masks(batched)[mask]
    query, key, value = x_seq
    steps = [operator.step(query[t], key[t], value[t], **held) for t in range(T)]
    for got, expected in zip(zip(*steps, strict=True), operator(*x_seq, **held), strict=True):
        torch.testing.assert_close(torch.stack(got), expected, rtol=1e-11, atol=1e-12)


def test_arguments_may_be_positional_or_named() -> None:
    ann = _ann()
    operator = TDMultiheadAttention.from_ann(ann)
    query, key, value = _streams(ann, True)
    padding = _mask(B, S, kind="bool")
    expected, _ = operator(query, key, value, key_padding_mask=padding, need_weights=False)
    torch.testing.assert_close(operator(query, key, value, padding, False)[0], expected)
    named, _ = operator(key=key, query=query, value=value, key_padding_mask=padding)
    torch.testing.assert_close(named, expected)


@pytest.mark.parametrize("grad", [True, False])
def test_self_attention_without_the_fast_path(grad: bool) -> None:
    ann = _ann(batch_first=True)
    x_seq = [_streams(ann, True)[0]] * 3
    with torch.set_grad_enabled(grad):  # without gradients torch.nn takes its fast path
        _assert_exact(TDMultiheadAttention.from_ann(ann), ann, x_seq, {})


def test_train_mode_draws_nothing() -> None:
    ann = _ann(dropout=0.9)
    operator = TDMultiheadAttention.from_ann(ann).train()
    assert not ann.out_proj.training, "the source's submodule must keep its mode"
    _assert_exact(operator, ann, _streams(ann, True), {})


def test_shares_parameters() -> None:
    ann = _ann(add_bias_kv=True, kdim=3)
    operator = TDMultiheadAttention.from_ann(ann)
    shared = dict(operator.named_parameters())
    assert shared.keys() == dict(ann.named_parameters()).keys()
    assert all(shared[name] is parameter for name, parameter in ann.named_parameters())
    assert operator.out_proj is not ann.out_proj


def test_gradients() -> None:
    ann = _ann(batch_first=True)
    operator = TDMultiheadAttention.from_ann(ann)
    x_seq = [x[:2].requires_grad_() for x in _streams(ann, True)]
    mask = _mask(L, S, kind="float").requires_grad_()

    def run(*tensors: Tensor) -> tuple[Tensor, ...]:
        return operator(*tensors[:3], attn_mask=tensors[3])

    inputs = (*x_seq, mask, *operator.parameters())
    assert torch.autograd.gradcheck(run, inputs, fast_mode=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_dtype_is_kept(dtype: torch.dtype) -> None:
    ann = _ann(batch_first=True).to(dtype)
    operator = TDMultiheadAttention.from_ann(ann)
    x_seq = [x.to(dtype) * 0.2 for x in _streams(ann, True)]
    output, weights = operator(*x_seq)
    assert output.dtype == weights.dtype == dtype
    ann = ann.double()
    expected, _ = ann(*(x.double().sum(0) for x in x_seq))
    error = (output.double().sum(0) - expected).abs().max() / expected.abs().max()
    assert error < 20 * torch.finfo(dtype).eps


def test_empty_batch() -> None:
    operator = TDMultiheadAttention(E, HEADS)
    x_seq = torch.zeros(T, L, 0, E)
    output, weights = operator(x_seq, x_seq, x_seq)
    assert output.shape == (T, L, 0, E)
    assert weights.shape == (T, 0, L, L)


X = torch.zeros(T, B, L, E)


@pytest.mark.parametrize(
    ("streams", "held", "message"),
    [
        ((X, X, X[:2]), {}, r"same number of time steps.*\[3, 3, 2\]"),
        ((X[:0], X[:0], X[:0]), {}, "at least one time step"),
        ((X[..., :5], X, X), {}, r"E = \[6, 6, 6\].*received \[\[2, 4, 5\]"),
        ((X, X, X[:, :, :3]), {}, "key and value of equal length"),
        ((X, X[:, :1], X[:, :1]), {}, "batch_first=True"),
        ((X, X[0], X[0]), {}, "time steps|of shape"),
        ((X[None], X[None], X[None]), {}, "of shape"),
        ((X, X, X), {"is_causal": True}, "no attn_mask"),
        ((X, X, X), {"attn_mask": torch.zeros(T, L, L)}, r"\[4, 4\] or \[4, 4, 4\].*\[3, 4, 4\]"),
        ((X, X, X), {"key_padding_mask": torch.zeros(T, B, L)}, r"\[2, 4\].*leave out its time"),
        ((X.long(),) * 3, {}, "floating point"),
    ],
)
def test_errors(streams: tuple[Tensor, ...], held: dict[str, Any], message: str) -> None:
    operator = TDMultiheadAttention(E, HEADS, batch_first=True)
    with pytest.raises(InputError, match=message):
        operator(*streams, **held)


def test_step_errors() -> None:
    operator = TDMultiheadAttention(E, HEADS)
    with pytest.raises(InputError, match=r"\[L, B, E\]"):
        operator.step(X, X, X)
