"""How TD operators are made: by hand, from torch.nn modules, from ATen calls."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from snnconvert import ops
from snnconvert.errors import ConversionError, InputError

PAIRS: list[tuple[type[ops.TDOperator], Callable[[], nn.Module]]] = [
    (ops.TDLinear, lambda: nn.Linear(4, 3)),
    (ops.TDLinear, lambda: nn.modules.linear.NonDynamicallyQuantizableLinear(4, 3)),
    (ops.TDConv1d, lambda: nn.Conv1d(2, 4, 3, 2, padding="valid", groups=2)),
    (ops.TDConv2d, lambda: nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect", bias=False)),
    (ops.TDConv3d, lambda: nn.Conv3d(2, 4, 3)),
    (ops.TDLayerNorm, lambda: nn.LayerNorm(4, eps=1e-3)),
    (ops.TDLayerNorm, lambda: nn.LayerNorm(4, bias=False)),
    (ops.TDRMSNorm, lambda: nn.RMSNorm(4)),
    (ops.TDBatchNorm, lambda: nn.BatchNorm1d(4, eps=1e-3)),
    (ops.TDBatchNorm, lambda: nn.BatchNorm2d(4, affine=False)),
    (ops.TDBatchNorm, lambda: nn.BatchNorm3d(4)),
    (ops.TDBatchNorm, lambda: nn.SyncBatchNorm(4)),
    (ops.TDGroupNorm, lambda: nn.GroupNorm(2, 4)),
    (ops.TDGELU, lambda: nn.GELU("tanh")),
    (ops.TDSiLU, nn.SiLU),
    (ops.TDReLU, lambda: nn.ReLU(inplace=True)),
    (ops.TDActivation, lambda: nn.PReLU(3)),
    (ops.TDEmbedding, lambda: nn.Embedding(5, 3, padding_idx=1)),
    (ops.TDMultiheadAttention, lambda: nn.MultiheadAttention(4, 2, add_bias_kv=True)),
    (ops.TDLSTM, lambda: nn.LSTM(4, 3, 2, bidirectional=True, batch_first=True, proj_size=2)),
    (ops.TDGRU, lambda: nn.GRU(4, 3, 2, bias=False, dropout=0.5)),
    (ops.TDRNN, lambda: nn.RNN(4, 3, nonlinearity="relu")),
    (ops.TDLSTMCell, lambda: nn.LSTMCell(4, 3)),
    (ops.TDGRUCell, lambda: nn.GRUCell(4, 3, bias=False)),
    (ops.TDRNNCell, lambda: nn.RNNCell(4, 3, nonlinearity="relu")),
    (ops.TemporalDifference, lambda: nn.Sequential(nn.Linear(2, 2))),
]


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]


@pytest.mark.parametrize(("operator", "module"), PAIRS)
def test_from_ann_shares_and_changes_nothing(
    operator: type[ops.TDOperator], module: Callable[[], nn.Module]
) -> None:
    ann = module().train()
    before = copy.deepcopy(ann.__dict__)
    td = operator.from_ann(ann)
    assert [id(tensor) for tensor in _tensors(td)] == [id(tensor) for tensor in _tensors(ann)]
    td.eval()
    td.register_forward_hook(print)
    assert ann.training or isinstance(td, (ops.TDActivation, ops.TemporalDifference))
    assert not ann._forward_hooks
    assert ann.__dict__.keys() == before.keys()


@pytest.mark.parametrize(
    ("operator", "module"), [p for p in PAIRS if p[0].counterparts and p[0] is not ops.TDSoftmax]
)
def test_reads_like_the_source(
    operator: type[ops.TDOperator], module: Callable[[], nn.Module]
) -> None:
    ann = module()
    td = operator.from_ann(ann)
    assert td.extra_repr() == ann.extra_repr()
    assert type(td).__name__ in repr(td)
    td.load_state_dict(ann.state_dict(), strict=True)
    assert list(td.state_dict()) == list(ann.state_dict())


@pytest.mark.parametrize(
    ("operator", "counterpart"),
    [
        (ops.TDLinear, nn.Linear),
        (ops.TDConv1d, nn.Conv1d),
        (ops.TDConv2d, nn.Conv2d),
        (ops.TDConv3d, nn.Conv3d),
        (ops.TDLayerNorm, nn.LayerNorm),
        (ops.TDRMSNorm, nn.RMSNorm),
        (ops.TDGroupNorm, nn.GroupNorm),
        (ops.TDGELU, nn.GELU),
        (ops.TDSiLU, nn.SiLU),
        (ops.TDReLU, nn.ReLU),
        (ops.TDMultiheadAttention, nn.MultiheadAttention),
        (ops.TDEmbedding, nn.Embedding),
        (ops.TDLSTM, nn.LSTM),
        (ops.TDGRU, nn.GRU),
        (ops.TDRNN, nn.RNN),
        (ops.TDLSTMCell, nn.LSTMCell),
        (ops.TDGRUCell, nn.GRUCell),
        (ops.TDRNNCell, nn.RNNCell),
    ],
)
def test_constructor_signature_is_that_of_torch_nn(operator: Any, counterpart: Any) -> None:
    assert list(inspect.signature(operator).parameters) == list(
        inspect.signature(counterpart).parameters
    )


class Doubled(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input)


class DoubledConv(nn.Conv2d):
    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return 2 * super()._conv_forward(input, weight, bias)


def _hooked() -> nn.Module:
    linear = nn.Linear(2, 2)
    linear.register_forward_hook(lambda module, args, output: 2 * output)
    return linear


def _patched() -> nn.Module:
    linear = nn.Linear(2, 2)
    vars(linear)["forward"] = lambda x: 2 * x
    return linear


@pytest.mark.parametrize(
    ("operator", "module", "message"),
    [
        (ops.TDLinear, lambda: nn.Conv1d(2, 2, 1), "takes a torch.nn.Linear, received a .*Conv1d"),
        (ops.TDConv2d, lambda: nn.Conv1d(2, 2, 1), "takes a torch.nn.Conv2d"),
        (ops.TDConv2d, lambda: nn.ConvTranspose2d(2, 2, 1), "takes a torch.nn.Conv2d"),
        (ops.TDBatchNorm, lambda: nn.InstanceNorm1d(2), "BatchNorm1d or .*InstanceNorm1d"),
        (ops.TDSoftmax, lambda: nn.LogSoftmax(-1), "takes a torch.nn.Softmax"),
        (ops.TDGELU, nn.ReLU, "takes a torch.nn.GELU"),
        (ops.TDActivation, lambda: nn.Linear(2, 2), "takes an activation of torch.nn"),
        (ops.TDActivation, lambda: nn.MultiheadAttention(2, 1), "takes an activation"),
        (ops.TDMatmul, nn.Identity, "no torch.nn counterpart"),
        (ops.TDScaledDotProductAttention, nn.Identity, "no torch.nn counterpart"),
        (ops.TDLinear, lambda: Doubled(2, 2), "overrides.*TemporalDifference"),
        (ops.TDConv2d, lambda: DoubledConv(2, 2, 1), "overrides"),
        (ops.TDLinear, _patched, "overrides"),
        (ops.TDLinear, _hooked, "forward hooks"),
        (ops.TDLinear, lambda: weight_norm(nn.Linear(2, 2)), "parametrizations"),
        (ops.TDBatchNorm, lambda: nn.BatchNorm1d(2, track_running_stats=False), "statistics"),
        (ops.TDEmbedding, lambda: nn.Embedding(2, 2, max_norm=1.0), "max_norm=1.0"),
    ],
)
def test_from_ann_refuses(operator: Any, module: Callable[[], nn.Module], message: str) -> None:
    with pytest.raises(InputError, match=message):
        operator.from_ann(module())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ops.TDBatchNorm(2, track_running_stats=False), "track_running_stats=True"),
        (lambda: ops.TDEmbedding(2, 2, max_norm=1.0), "max_norm"),
    ],
)
def test_constructor_refuses(make: Callable[[], nn.Module], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_batch_norm_uses_running_statistics_in_train_mode() -> None:
    norm = nn.BatchNorm2d(3).train()
    norm(torch.randn(8, 3, 5, 5))  # moves the statistics
    operator = ops.TDBatchNorm.from_ann(norm)
    assert operator.training
    before = copy.deepcopy(norm.state_dict())
    x_seq = torch.randn(4, 2, 3, 5, 5)
    y_seq = operator(x_seq)
    assert all(torch.equal(value, before[key]) for key, value in norm.state_dict().items())
    torch.testing.assert_close(y_seq.sum(0), norm.eval()(x_seq.sum(0)))


W, V = nn.Parameter(torch.randn(4, 3)), nn.Parameter(torch.randn(4))
KERNEL = nn.Parameter(torch.randn(4, 2, 3, 3))
MEAN, VAR = torch.randn(4), torch.rand(4) + 0.5
TABLE = nn.Parameter(torch.randn(7, 3))
X3, X4 = torch.randn(2, 3), torch.randn(2, 4)
IMAGE = torch.randn(2, 4, 6, 6)
aten = torch.ops.aten

CALLS = [
    (ops.TDLinear, aten.linear.default, [X3], {"weight": W, "bias": V}),
    (ops.TDLinear, aten.linear.default, [X3], {"weight": W, "bias": None}),
    (ops.TDLinear, aten.linear.default, [X3], {"weight": W}),
    (ops.TDLinear, aten.linear.default, [X3], {"weight": W.detach()}),
    (
        ops.TDConv1d,
        aten.conv1d.default,
        [torch.randn(2, 3, 5)],
        {"weight": W[..., None].detach(), "stride": [2]},
    ),
    (
        ops.TDConv2d,
        aten.conv2d.default,
        [IMAGE],
        {
            "weight": KERNEL,
            "bias": V,
            "stride": [2, 1],
            "padding": [1, 0],
            "dilation": [1, 2],
            "groups": 2,
        },
    ),
    (
        ops.TDConv2d,
        aten.conv2d.default,
        [IMAGE],
        {"weight": KERNEL, "stride": [2], "padding": [1], "groups": 2},
    ),
    (
        ops.TDConv2d,
        aten.conv2d.padding,
        [IMAGE],
        {"weight": KERNEL, "bias": V, "padding": "same", "groups": 2},
    ),
    (
        ops.TDConv3d,
        aten.conv3d.default,
        [torch.randn(2, 2, 3, 4, 4)],
        {"weight": KERNEL[:, :, None].detach()},
    ),
    (
        ops.TDLayerNorm,
        aten.layer_norm.default,
        [X4],
        {"normalized_shape": [4], "weight": V, "bias": V, "eps": 0.1, "cudnn_enable": False},
    ),
    (ops.TDLayerNorm, aten.layer_norm.default, [X4], {"normalized_shape": [2, 4]}),
    (ops.TDLayerNorm, aten.layer_norm.default, [X4], {"normalized_shape": [4], "weight": V}),
    (ops.TDRMSNorm, aten.rms_norm.default, [X4], {"normalized_shape": [4], "weight": V}),
    (ops.TDRMSNorm, aten.rms_norm.default, [X4], {"normalized_shape": [4], "eps": 0.1}),
    (
        ops.TDBatchNorm,
        aten.batch_norm.default,
        [IMAGE],
        {
            "weight": V,
            "bias": None,
            "running_mean": MEAN,
            "running_var": VAR,
            "training": False,
            "momentum": 0.1,
            "eps": 0.1,
            "cudnn_enabled": True,
        },
    ),
    (
        ops.TDGroupNorm,
        aten.group_norm.default,
        [IMAGE],
        {"num_groups": 2, "weight": V, "bias": V, "eps": 0.1},
    ),
    (ops.TDGroupNorm, aten.group_norm.default, [IMAGE], {"num_groups": 2, "bias": V}),
    (ops.TDGELU, aten.gelu.default, [X3], {"approximate": "tanh"}),
    (ops.TDGELU, aten.gelu.default, [X3], {}),
    (ops.TDSiLU, aten.silu.default, [X3], {}),
    (ops.TDReLU, aten.relu.default, [X3], {}),
    (ops.TDSoftmax, aten.softmax.int, [X3], {"dim": 1}),
    (ops.TDSoftmax, aten.softmax.int, [X3], {"dim": 0}),
    (ops.TDSoftmax, aten.softmax.int, [X3], {"dim": -1, "dtype": torch.float64}),
    (ops.TDMatmul, aten.matmul.default, [X3, W.T], {}),
    (ops.TDMul, aten.mul.Tensor, [X3, X3], {}),
    (
        ops.TDScaledDotProductAttention,
        aten.scaled_dot_product_attention.default,
        [IMAGE, IMAGE, IMAGE, torch.randn(6, 6)],
        {"dropout_p": 0.0, "is_causal": False, "scale": 0.2, "enable_gqa": False},
    ),
    (
        ops.TDScaledDotProductAttention,
        aten.scaled_dot_product_attention.default,
        [IMAGE, IMAGE, IMAGE],
        {"is_causal": True},
    ),
]


@pytest.mark.parametrize(("operator", "target", "inputs", "arguments"), CALLS)
def test_from_call_computes_the_call(
    operator: Any, target: Any, inputs: list[Tensor], arguments: dict[str, Any]
) -> None:
    td = operator.from_call(**arguments)
    names = [argument.name for argument in target._schema.arguments]
    free = [name for name in names if name not in arguments]
    expected = target(**dict(zip(free, inputs, strict=False)), **arguments)
    torch.testing.assert_close(td.cumulative(*inputs), expected, rtol=0, atol=0)
    for name in ("weight", "bias", "running_mean", "running_var"):
        if name in arguments:
            assert getattr(td, name) is arguments[name]
            if isinstance(arguments[name], nn.Parameter):
                assert dict(td.named_parameters(remove_duplicate=False))[name] is arguments[name]
    assert not any(tensor.is_meta for tensor in _tensors(td))
    assert repr(td)


@pytest.mark.parametrize("padding_idx", [-1, 2])
def test_from_call_of_an_embedding(padding_idx: int) -> None:
    operator = ops.TDEmbedding.from_call(weight=TABLE, padding_idx=padding_idx)
    assert operator.weight is TABLE
    assert operator.padding_idx == (None if padding_idx < 0 else padding_idx)
    ids = torch.tensor([[2, 6, 0]])
    torch.testing.assert_close(operator.cumulative(ids), F.embedding(ids, TABLE))


def test_from_call_draws_no_random_numbers() -> None:
    before = torch.get_rng_state()
    ops.TDLinear.from_call(weight=W, bias=V)
    ops.TDEmbedding.from_call(weight=TABLE)
    assert torch.equal(torch.get_rng_state(), before)


STATISTICS = {"weight": None, "bias": None, "running_mean": MEAN, "running_var": VAR}


@pytest.mark.parametrize(
    ("operator", "arguments", "message"),
    [
        (ops.TDLinear, {"weight": V}, r"expected a matrix.*\[4\]"),
        (ops.TDLinear, {"weight": W, "bias": W}, r"a vector as bias.*\[4, 3\]"),
        (ops.TDConv2d, {"weight": KERNEL, "padding": "same", "stride": [2]}, "strided"),
        (ops.TDBatchNorm, {**STATISTICS, "training": True}, r"model\.eval\(\)"),
        (ops.TDBatchNorm, {**STATISTICS, "running_mean": None}, "track_running_stats=True"),
        (ops.TDGroupNorm, {"num_groups": 2}, "number of channels"),
        (ops.TDScaledDotProductAttention, {"dropout_p": 0.1}, r"random numbers.*model\.eval\(\)"),
        (ops.TDLayerNorm, {"normalized_shape": [4], "weight": 1.0}, "must be a tensor or None"),
        (ops.TemporalDifference, {"dim": 0}, "no ATen call"),
        (ops.TDMultiheadAttention, {}, "no ATen call"),
    ],
)
def test_from_call_refuses(operator: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        operator.from_call(**arguments)


@pytest.mark.parametrize("name", ops.__all__)
def test_public_names_are_documented(name: str) -> None:
    assert (getattr(ops, name).__doc__ or "").strip()
