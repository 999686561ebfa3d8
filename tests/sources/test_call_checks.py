"""Operators whose kernels rely on their arguments get none that do not fit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from snnconvert.sources.call_checks import call_problem
from snnconvert.sources.replay import check_run

A = torch.ops.aten
X = torch.zeros(2, 4, 6, 6)
Q = torch.zeros(1, 2, 3, 4)
FOUR, ONE = torch.ones(4), torch.ones(1)
FLASH = A._scaled_dot_product_flash_attention_for_cpu.default
AA = A._upsample_bilinear2d_aa.default
EVAL = A._native_batch_norm_legit_no_training.default
LONG = torch.zeros(1 << 17, 1)
WHOLE = torch.tensor([4])
WAVE = torch.ones(4, 4, dtype=torch.complex64)
STATE = torch.zeros(2, 3, 4)
LAYERS = nn.LSTM(4, 4, 2)
PROJECTED = nn.LSTM(4, 4, 1, bidirectional=True, proj_size=3, bias=False, batch_first=True)
IDS, NONE = torch.tensor([1, 2]), torch.tensor([], dtype=torch.int64)
LEVELS = A.fake_quantize_per_tensor_affine
BAG = A._embedding_bag_forward_only.default


def weights_of(layer: nn.LSTM) -> list[Tensor]:
    return [weight.detach() for weight in layer.parameters()]


def lstm(layer: nn.LSTM, **other: Any) -> tuple[Any, ...]:
    """The arguments of a call of a layer on ``STATE``, some of them others."""
    ways = 2 if layer.bidirectional else 1
    runs = layer.num_layers * ways, STATE.shape[0 if layer.batch_first else 1]
    given = {
        "input": STATE,
        "hx": [torch.zeros(*runs, layer.proj_size or 4), torch.zeros(*runs, 4)],
        "params": weights_of(layer),
        "has_biases": layer.bias,
        "num_layers": layer.num_layers,
        "dropout": 0.0,
        "train": False,
        "bidirectional": layer.bidirectional,
        "batch_first": layer.batch_first,
    }
    return tuple({**given, **other}.values())


FIT: list[tuple[Any, tuple[Any, ...]]] = [
    (EVAL, (X, FOUR, FOUR, FOUR, FOUR, 0.1, 1e-5)),
    (EVAL, (X, None, None, FOUR, FOUR, 0.1, 1e-5)),
    (A._native_batch_norm_legit.no_stats, (X, FOUR, FOUR, True, 0.1, 1e-5)),
    (A._weight_norm_interface.default, (torch.ones(4, 3), torch.ones(4, 1))),
    (A._weight_norm_interface.default, (torch.ones(4, 3), torch.ones(1, 3), 1)),
    (FLASH, (Q, torch.zeros(1, 2, 5, 4), torch.zeros(1, 2, 5, 4))),
    (FLASH, (Q, torch.zeros(1, 1, 5, 4), torch.zeros(1, 1, 5, 4))),
    (AA, (X, [3, 3], False, 0.5, 0.5)),
    (AA, (X, [3, 3], False)),
    (A.unbind.int, (X, 1)),
    (A.split.Tensor, (LONG, 1 << 10)),
    (A.mvlgamma.default, (X + 9, 3)),
    (A.floor_divide.default, (WHOLE, 2)),
    (A.div.Scalar, (WHOLE, -1)),  # in floating point
    (A.remainder.Scalar, (X, -1)),
    (A.div.Tensor_mode, (X, 0.0)),
    (A.divide.Tensor_mode, (WHOLE, X)),
    (A.div.Tensor, (WHOLE, WHOLE)),
    (A.floor_divide.default, (WHOLE, WHOLE)),
    (torch.ops.prims.div.default, (X, X)),
    (A.matrix_power.default, (X, -3)),
    (A.split_with_sizes.default, (LONG, [1] * 1000)),
    (A.constant_pad_nd.default, (X, [1] * 128)),
    (A._fft_r2c.default, (FOUR, [0], 0, True)),
    (A._fft_c2r.default, (WAVE, [0, 1], 0, 7)),
    (A._pdist_forward.default, (LONG, 2.0)),
    (A.combinations.default, (FOUR, 3)),
    (A.combinations.default, (FOUR,)),
    (A.lstm.input, lstm(LAYERS)),
    (A.lstm.input, lstm(PROJECTED)),
    (BAG, (X[0, 0], IDS, WHOLE)),
    (A.bincount.default, (IDS, None, 1 << 16)),
    (LEVELS.default, (X, 0.1, 0, -8, 7)),
    (LEVELS.tensor_qparams, (X, ONE, WHOLE, -8, 7)),
]
MISFIT: list[tuple[Any, tuple[Any, ...]]] = [
    (EVAL, (X, FOUR, FOUR, ONE, FOUR, 0.1, 1e-5)),
    (EVAL, (X, ONE, FOUR, FOUR, FOUR, 0.1, 1e-5)),
    (A.native_batch_norm.default, (X, None, None, FOUR, ONE, True, 0.1, 1e-5)),
    (A._native_batch_norm_legit.default, (X, None, None, ONE, ONE, True, 0.1, 1e-5)),
    (A._weight_norm_interface.default, (torch.ones(4, 3), torch.ones(1, 1))),
    (A._weight_norm_interface.default, (torch.ones(4, 3), torch.ones(4, 1), 7)),
    (FLASH, (Q, torch.zeros(1, 2, 5, 4), torch.zeros(1, 2, 1, 4))),
    (FLASH, (Q, torch.zeros(1, 3, 5, 4), torch.zeros(1, 3, 5, 4))),
    (FLASH, (Q, torch.zeros(1, 0, 5, 4), torch.zeros(1, 0, 5, 4))),
    (FLASH, (torch.zeros(1, 3, 3, 4), Q, Q)),
    (
        A._scaled_dot_product_efficient_attention.default,
        (Q, torch.zeros(1, 1, 5, 4), torch.zeros(1, 1, 5, 4), None, False),
    ),
    (FLASH, (Q, Q[..., :2], Q)),
    (FLASH, (Q[:, :, :0], Q, Q)),
    (A._fft_r2c.default, (X, [-1, -2], 0, True)),
    (A._fft_r2c.default, (X, [], 0, True)),
    (A._fft_c2c.default, (WAVE, [0, 0], 0, True)),
    (A._fft_c2r.default, (WAVE, [-2], 0, 6)),
    (A._fft_c2r.default, (WAVE, [1], 0, 4)),
    (A._fft_c2r.default, (WAVE, [1], 0, 8)),
    (A._fft_c2r.default, (WAVE, [1], 0, -2)),
    (A._pdist_forward.default, (X[..., :0], 2.0)),
    (A.combinations.default, (FOUR, 1 << 31)),
    (A.lstm.input, lstm(LAYERS, hx=[torch.zeros(3, 3, 4), STATE])),
    (A.lstm.input, lstm(LAYERS, hx=[STATE.expand(2, 3, 4), STATE[:, :2]])),
    (A.lstm.input, lstm(LAYERS, has_biases=False)),
    (A.lstm.input, lstm(LAYERS, num_layers=1 << 60)),
    (A.lstm.input, lstm(LAYERS, params=[*weights_of(LAYERS)[:-1], FOUR])),
    (A.lstm.input, lstm(LAYERS, params=[w.double() for w in weights_of(LAYERS)])),
    (BAG, (X[0, 0], IDS, NONE)),
    (A.bincount.default, (IDS, None, 1 << 40)),
    (LEVELS.tensor_qparams, (X, ONE[:0], WHOLE, -8, 7)),
    (LEVELS.tensor_qparams, (X, ONE, NONE, -8, 7)),
    (BAG, (X[0, 0], IDS, WHOLE, False, 0, False, None, True)),
    (AA, (X, [3, 3], False, 1e-8, 0.5)),
    (AA, (X, [3, 3], False, 0.5, float("nan"))),
    (A._upsample_bicubic2d_aa.default, (X, [3, 3], False, 0.5, -1.0)),
    (A.unbind.int, (LONG,)),
    (A.split.Tensor, (LONG, 1)),
    (A.unsafe_split.Tensor, (LONG, 1)),
    (A.tensor_split.sections, (X, 1 << 24)),
    (A.chunk.default, (LONG, 1 << 24)),
    (A.mvlgamma.default, (X, 1 << 30)),
    (A.special_multigammaln.default, (X, 1 << 30)),
    (A.mvlgamma_.default, (X, 1 << 30)),
    (A.floor_divide.default, (WHOLE, 0)),
    (A.remainder.Scalar, (WHOLE, -1)),
    (A.fmod.Scalar, (WHOLE, -1)),
    (A.div.Scalar_mode, (WHOLE, -1)),
    (A.div_.Tensor_mode, (WHOLE, WHOLE)),
    (A.divide.Tensor_mode, (WHOLE.int(), WHOLE.to(torch.int8))),
    (torch.ops.prims.div.default, (WHOLE, WHOLE)),
    (A.matrix_power.default, (X, -(1 << 63))),
    (A.view.default, (X, [1] * 50_000)),
    (A.linalg_matrix_power.default, (X, -(1 << 63))),
]
ROUNDED = {
    A.div.Scalar_mode: {"rounding_mode": "floor"},
    A.div_.Tensor_mode: {"rounding_mode": "trunc"},
    A.divide.Tensor_mode: {"rounding_mode": "trunc"},
}


def name(case: Any) -> str:
    return str(case) if isinstance(case, torch._ops.OpOverload) else "-"


@pytest.mark.parametrize(("operator", "args"), FIT, ids=name)
def test_arguments_that_fit_are_accepted(operator: Any, args: Any) -> None:
    assert not call_problem(operator, args, ROUNDED.get(operator, {}))


@pytest.mark.parametrize(("operator", "args"), MISFIT, ids=name)
def test_arguments_that_do_not_fit_are_refused(operator: Any, args: Any) -> None:
    assert str(operator) in call_problem(operator, args, ROUNDED.get(operator, {}))


@pytest.mark.parametrize(
    ("operator", "by"),
    [
        (A.floor_divide.default, 0),
        (A.div_.Tensor_mode, WHOLE),
        (torch.ops.prims.div.default, WHOLE),
    ],
)
def test_a_division_that_may_stop_has_a_remedy(operator: Any, by: Any) -> None:
    found = call_problem(operator, (WHOLE, by), ROUNDED.get(operator, {}))
    assert "rounding_mode='floor', or by a number other than 0 and -1" in found
    assert not call_problem(operator, (X, by), ROUNDED.get(operator, {}))


def test_a_mask_has_to_be_spread_over_the_scores() -> None:
    keys = torch.zeros(1, 2, 5, 4)
    for shape, fits in (((3, 5), True), ((1, 1, 3, 5), True), ((2, 2), False), ((3,), False)):
        found = call_problem(FLASH, (Q, keys, keys), {"attn_mask": torch.zeros(shape)})
        assert (found == "") is fits


class Smoothed(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        resize = nn.functional.interpolate
        small = resize(x, scale_factor=0.3, mode="bilinear", antialias=True)
        return small.sum() + resize(x, size=(4, 5), mode="bicubic", antialias=True).sum()


class Transformed(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        back = torch.fft.irfft(torch.fft.rfft2(x, dim=(0, -1)).cumsum(0), n=7, dim=0)
        return back.sum() + torch.fft.hfft(x.cfloat()).sum() + torch.pdist(x).sum()


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (nn.BatchNorm2d(4), (2, 4, 3, 3)),
        (nn.BatchNorm2d(4, track_running_stats=False), (2, 4, 3, 3)),
        (nn.InstanceNorm2d(4, track_running_stats=True), (2, 4, 3, 3)),
        (nn.LSTM(3, 4, 2, bidirectional=True, proj_size=2, batch_first=True), (2, 5, 3)),
        (nn.TransformerEncoderLayer(8, 2, 8, batch_first=True), (2, 3, 8)),
        (nn.utils.parametrizations.weight_norm(nn.Conv1d(4, 4, 3), dim=1), (2, 4, 9)),
        (Smoothed(), (2, 4, 8, 8)),
        (Transformed(), (5, 6)),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("core", [False, True])
@pytest.mark.filterwarnings("ignore:The tensor attributes self._flat_weights")
def test_what_exports_yield_is_accepted(model: nn.Module, shape: Any, core: bool) -> None:
    with torch.no_grad():
        program = torch.export.export(model.eval(), (torch.randn(shape),), strict=False)
        check_run(program.run_decompositions() if core else program, "f")
