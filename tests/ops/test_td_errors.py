"""What TD operators refuse: with what was expected, what was received and what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from snnconvert import ops
from snnconvert.errors import InputError


def _zeros(*shape: int) -> Tensor:
    return torch.zeros(shape)


ONE_STREAM: dict[str, Callable[[], ops.TDOperator]] = {
    "linear": lambda: ops.TDLinear(4, 3),
    "conv1d": lambda: ops.TDConv1d(4, 3, 1),
    "conv2d": lambda: ops.TDConv2d(4, 3, 1),
    "conv3d": lambda: ops.TDConv3d(4, 3, 1),
    "layer_norm": lambda: ops.TDLayerNorm(4),
    "rms_norm": lambda: ops.TDRMSNorm(4),
    "batch_norm": lambda: ops.TDBatchNorm(4),
    "group_norm": lambda: ops.TDGroupNorm(2, 4),
    "gelu": ops.TDGELU,
    "silu": ops.TDSiLU,
    "relu": ops.TDReLU,
    "activation": lambda: ops.TDActivation(torch.tanh),
    "softmax": lambda: ops.TDSoftmax(-1),
    "embedding": lambda: ops.TDEmbedding(5, 4),
    "any": lambda: ops.TemporalDifference(torch.tanh),
}
every_operator = pytest.mark.parametrize("name", ONE_STREAM)


def _dtype(name: str) -> torch.dtype:
    return torch.int64 if name == "embedding" else torch.float32


@every_operator
def test_fewer_than_two_dimensions(name: str) -> None:
    with pytest.raises(ValueError, match=r"\[T, B, \.\.\.\].*received shape \[4\].*unsqueeze"):
        ONE_STREAM[name]()(torch.zeros(4, dtype=_dtype(name)))


@every_operator
def test_empty_time(name: str) -> None:
    with pytest.raises(InputError, match=r"at least one time step; received shape \[0, 2, 4, 4\]"):
        ONE_STREAM[name]()(torch.zeros(0, 2, 4, 4, dtype=_dtype(name)))


@every_operator
@pytest.mark.parametrize("form", ["forward", "step"])
def test_wrong_kind_of_number(name: str, form: str) -> None:
    wrong = torch.float32 if name == "embedding" else torch.int64
    with pytest.raises(InputError, match=f"received {wrong}"):
        getattr(ONE_STREAM[name](), form)(torch.zeros(2, 2, 4, 4, 4, dtype=wrong))


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("linear", (2, 5), r"\[B, \.\.\., 4\] \(in_features=4\), received \[2, 5\]"),
        ("conv1d", (2, 5, 7), r"\[B, 4, W\] \(in_channels=4\).*received \[2, 5, 7\]"),
        ("conv2d", (2, 5, 7, 7), r"\[B, 4, H, W\].*received \[2, 5, 7, 7\]"),
        ("conv2d", (4, 7), r"\[4, H, W\], received \[4, 7\]"),
        ("conv3d", (2, 4, 7, 7, 7, 7), r"\[B, 4, D, H, W\]"),
        ("layer_norm", (2, 5), r"normalized_shape=\[4\]\), received \[2, 5\]"),
        ("rms_norm", (2, 5), r"normalized_shape=\[4\]\), received \[2, 5\]"),
        ("batch_norm", (2, 5, 3), r"\[B, 4, \.\.\.\] \(num_features=4\), received \[2, 5, 3\]"),
        ("batch_norm", (4,), "num_features=4"),
        ("group_norm", (2, 5, 3), r"num_channels=4\), received \[2, 5, 3\]"),
    ],
)
@pytest.mark.parametrize("form", ["forward", "step"])
def test_shape_that_does_not_fit(
    name: str, shape: tuple[int, ...], message: str, form: str
) -> None:
    operator = ONE_STREAM[name]()
    with pytest.raises(InputError, match=message) as error:
        operator(_zeros(6, *shape)) if form == "forward" else operator.step(_zeros(*shape))
    assert type(operator).__name__ in str(error.value)
    assert ";" in str(error.value), "no remedy"


@pytest.mark.parametrize("dim", [0, None])
def test_softmax_over_time_is_refused_at_once(dim: int | None) -> None:
    with pytest.raises(ValueError, match=r"other than 0, the time; received dim="):
        ops.TDSoftmax(dim)


@pytest.mark.parametrize(("dim", "said"), [(-3, "the time"), (-4, "out of"), (3, "out of")])
@pytest.mark.parametrize("form", ["forward", "step"])
def test_softmax_dim_that_resolves_to_time(dim: int, said: str, form: str) -> None:
    operator = ops.TDSoftmax(dim)
    with pytest.raises(ValueError, match=rf"{said}.*expected 1 to 2 or -2 to -1"):
        operator(_zeros(5, 2, 4)) if form == "forward" else operator.step(_zeros(2, 4))


def test_softmax_of_a_module_without_dim() -> None:
    with pytest.raises(InputError, match="dim=None"):
        ops.TDSoftmax.from_ann(nn.Softmax())


@pytest.mark.parametrize(
    "operator",
    [
        lambda: ops.TDActivation(nn.Softmax(dim=0)),
        lambda: ops.TDActivation(nn.Softmax()),
        lambda: ops.TDActivation(F.glu, dim=-2),
    ],
)
def test_activation_over_the_samples(operator: Callable[[], nn.Module]) -> None:
    with pytest.raises(InputError, match="that of the samples"):
        operator()(_zeros(5, 2, 4))


def test_activation_in_place_by_argument() -> None:
    with pytest.raises(InputError, match="inplace"):
        ops.TDActivation(F.relu, inplace=True)


def test_unknown_gelu() -> None:
    with pytest.raises(InputError, match="'none' or 'tanh', received 'fast'"):
        ops.TDGELU("fast")


@pytest.mark.parametrize(
    ("streams", "held", "message"),
    [
        ((_zeros(2, 3, 4),), {}, "received 1 streams"),
        ((_zeros(2, 3),) * 3, {}, "received 3 streams"),
        ((_zeros(2, 3),) * 2, {"other": 2.0}, r"held \['other'\]"),
        ((_zeros(2, 3),), {"scale": 2.0}, r"held \['scale'\]"),
        ((), {"input": _zeros(3), "other": _zeros(3)}, "at least one stream"),
        ((_zeros(2, 3, 4), _zeros(3, 3, 4)), {}, r"time steps.*received \[2, 3\]"),
        ((_zeros(2, 3, 4), 2.0), {}, "must be tensors, received float.*by keyword"),
    ],
)
@pytest.mark.parametrize("product", [ops.TDMatmul, ops.TDMul])
def test_products(
    product: Any, streams: tuple[Any, ...], held: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        product()(*streams, **held)


@pytest.mark.parametrize(
    ("product", "a", "b"),
    [
        (ops.TDMatmul, (3, 4), (3, 4)),
        (ops.TDMatmul, (2, 3, 4), (3, 4, 5)),
        (ops.TDMatmul, (3, 4), (3,)),
        (ops.TDMul, (2, 3), (2, 4)),
    ],
)
def test_products_that_do_not_fit(product: Any, a: tuple[int, ...], b: tuple[int, ...]) -> None:
    with pytest.raises(InputError) as error:
        product()(_zeros(2, *a), _zeros(2, *b))
    assert f"received {list(a)} and {list(b)}" in str(error.value)
    with pytest.raises(InputError):
        product().step(_zeros(*a), _zeros(*b))
    with pytest.raises(InputError):
        product().step(_zeros(*a), other=_zeros(*b))


Q = _zeros(5, 2, 4, 3, 6)


@pytest.mark.parametrize(
    ("settings", "streams", "mask", "message"),
    [
        ({"is_causal": True}, (Q, Q, Q), _zeros(3, 3), "together with is_causal=True"),
        ({}, (Q, Q, Q[:4]), None, r"time steps.*\[5, 5, 4\]"),
        ({}, (Q, Q[..., :5], Q), None, r"query \[B, \.\.\., L, E\].*received"),
        ({}, (Q, Q, Q[:, :, :, :2]), None, "received"),
        ({}, (Q, Q[:, :, :2], Q[:, :, :2]), None, "enable_gqa"),
        ({"enable_gqa": True}, (Q, Q[:, :, :3], Q[:, :, :3]), None, "enable_gqa"),
        ({}, (Q, Q[:, 0], Q[:, 0]), None, "equal rank"),
        ({}, (Q[:, 0, 0, 0],) * 3, None, "equal rank"),
        ({}, (Q, Q, Q), _zeros(5, 2, 4, 3, 3), r"\[2, 4, 3, 3\].*leave out"),
        ({}, (Q, Q, Q), _zeros(3, 4), r"broadcasts to \[2, 4, 3, 3\], received \[3, 4\]"),
    ],
)
def test_attention(
    settings: dict[str, Any], streams: tuple[Tensor, ...], mask: Tensor | None, message: str
) -> None:
    operator = ops.TDScaledDotProductAttention(**settings)
    with pytest.raises(ValueError, match=message):
        operator(*streams, attn_mask=mask)


@pytest.mark.parametrize(
    ("fn", "message"),
    [
        (lambda x: x > 0, "bool output has no difference"),
        (lambda x: {"a": x, "b": object()}, "received object.*pytree"),
        (lambda x: (x, x.sum().item()), "same at every step"),
        (lambda x: [x] * int(1 + x.sum() > 1), "same structure"),
    ],
)
def test_outputs_that_have_no_difference(fn: Callable[[Tensor], Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ops.TemporalDifference(fn)(torch.eye(2)[:, None] * torch.tensor([1.0, -1.0]))


def test_outputs_that_are_constant_pass() -> None:
    operator = ops.TemporalDifference(lambda x: {"x": x, "none": None, "size": x.shape[0]})
    x_seq = torch.randn(3, 2)
    y_seq = operator(x_seq)
    torch.testing.assert_close(y_seq["x"], x_seq)
    assert y_seq["none"] is None
    assert y_seq["size"] == 2


def test_function_of_a_list_of_streams() -> None:
    a, b = torch.randn(3, 2, 4), torch.randn(3, 2, 4)
    y_seq = ops.TemporalDifference(torch.cat)([a, b], dim=1)
    torch.testing.assert_close(y_seq, torch.cat([a, b], dim=2))


def test_nothing_to_run() -> None:
    with pytest.raises(InputError, match="at least one stream"):
        ops.TemporalDifference(torch.tanh)()
