"""Every operator that may act on increments, or is said to add up, is tested to be linear."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from snnconvert.ops import homogeneity
from snnconvert.ops.homogeneity import adds_up, is_homogeneous
from snnconvert.ops.kinds import KINDS

aten = torch.ops.aten
W, B = torch.randn(4, 4).double(), torch.randn(4).double()
K1, K2 = torch.randn(3, 4, 3).double(), torch.randn(3, 4, 3, 3).double()
K3 = torch.randn(3, 4, 3, 3, 3).double()

# operator: (call of one stream, shape of the stream)
LINEAR = {
    "view": (lambda x: aten.view(x, [4, 4]), (2, 8)),
    "reshape": (lambda x: aten.reshape(x, [4, 4]), (2, 8)),
    "_unsafe_view": (lambda x: aten._unsafe_view(x, [4, 4]), (2, 8)),
    "flatten": (lambda x: aten.flatten(x, 1), (2, 3, 4)),
    **{
        name: (lambda x, name=name: getattr(aten, name)(x), (4, 6))
        for name in KINDS["fourier"].operators
        if name.startswith("fft")
    },
    "_fft_r2c": (lambda x: aten._fft_r2c(x, [1], 1, True), (2, 4)),
    "_fft_c2c": (lambda x: aten._fft_c2c(torch.complex(x, 2 * x), [0, 1], 0, False), (2, 4)),
    "_fft_c2r": (lambda x: aten._fft_c2r(torch.complex(x, 2 * x), [1], 2, 6), (2, 4)),
    "unflatten": (lambda x: aten.unflatten(x, 1, [2, 2]), (2, 4)),
    "squeeze": (lambda x: aten.squeeze(x, 1), (2, 1)),
    "unsqueeze": (lambda x: aten.unsqueeze(x, 0), (2, 3)),
    "permute": (lambda x: aten.permute(x, [1, 0]), (2, 3)),
    "transpose": (lambda x: aten.transpose(x, 0, 1), (2, 3)),
    "t": (aten.t, (2, 3)),
    "expand": (lambda x: aten.expand(x, [2, 3]), (1, 3)),
    "expand_as": (lambda x: aten.expand_as(x, torch.zeros(2, 3)), (1, 3)),
    "slice": (lambda x: aten.slice(x, 1, 0, 2), (2, 3)),
    "select": (lambda x: aten.select(x, 1, 0), (2, 3)),
    "split": (lambda x: aten.split(x, 2, 1)[0], (2, 4)),
    "split_with_sizes": (lambda x: aten.split_with_sizes(x, [1, 3], 1)[1], (2, 4)),
    "chunk": (lambda x: aten.chunk(x, 2, 1)[1], (2, 4)),
    "unbind": (lambda x: aten.unbind(x, 1)[0], (2, 3)),
    "clone": (aten.clone, (2, 3)),
    "contiguous": (aten.contiguous, (2, 3)),
    "alias": (aten.alias, (2, 3)),
    "movedim": (lambda x: aten.movedim(x, 0, 1), (2, 3)),
    "moveaxis": (lambda x: aten.moveaxis(x, 0, 1), (2, 3)),
    "ravel": (aten.ravel, (2, 3)),
    "mT": (aten.mT, (2, 3)),
    "mH": (aten.mH, (2, 3)),
    "matrix_H": (aten.matrix_H, (2, 3)),
    "adjoint": (aten.adjoint, (2, 3)),
    "numpy_T": (aten.numpy_T, (2, 3)),
    "swapaxes": (lambda x: aten.swapaxes(x, 0, 1), (2, 3)),
    "swapdims": (lambda x: aten.swapdims(x, 0, 1), (2, 3)),
    "broadcast_to": (lambda x: aten.broadcast_to(x, [2, 3]), (1, 3)),
    **{
        f"atleast_{n}d": (lambda x, n=n: getattr(aten, f"atleast_{n}d")([x, x])[1], (3,))
        for n in (1, 2, 3)
    },
    "tensor_split": (lambda x: aten.tensor_split(x, 2, 1)[0], (2, 3)),
    "hsplit": (lambda x: aten.hsplit(x, 2)[1], (2, 4)),
    "vsplit": (lambda x: aten.vsplit(x, 2)[1], (2, 4)),
    "dsplit": (lambda x: aten.dsplit(x, 2)[1], (2, 3, 4)),
    "unsafe_split": (lambda x: aten.unsafe_split(x, 2, 1)[0], (2, 4)),
    "unsafe_split_with_sizes": (lambda x: aten.unsafe_split_with_sizes(x, [1, 3], 1)[1], (2, 4)),
    "unsafe_chunk": (lambda x: aten.unsafe_chunk(x, 2, 1)[1], (2, 4)),
    "detach": (aten.detach, (2, 3)),
    "positive": (aten.positive, (2, 3)),
    "resolve_conj": (aten.resolve_conj, (2, 3)),
    "resolve_neg": (aten.resolve_neg, (2, 3)),
    "view_copy": (lambda x: aten.view_copy(x, [4, 4]), (2, 8)),
    "squeeze_copy": (lambda x: aten.squeeze_copy(x, 1), (2, 1)),
    "unsqueeze_copy": (lambda x: aten.unsqueeze_copy(x, 0), (2, 3)),
    "permute_copy": (lambda x: aten.permute_copy(x, [1, 0]), (2, 3)),
    "transpose_copy": (lambda x: aten.transpose_copy(x, 0, 1), (2, 3)),
    "t_copy": (aten.t_copy, (2, 3)),
    "expand_copy": (lambda x: aten.expand_copy(x, [2, 3]), (1, 3)),
    "slice_copy": (lambda x: aten.slice_copy(x, 1, 0, 2), (2, 3)),
    "select_copy": (lambda x: aten.select_copy(x, 1, 0), (2, 3)),
    "split_copy": (lambda x: aten.split_copy(x, 2, 1)[0], (2, 4)),
    "split_with_sizes_copy": (lambda x: aten.split_with_sizes_copy(x, [1, 3], 1)[1], (2, 4)),
    "unbind_copy": (lambda x: aten.unbind_copy(x, 1)[0], (2, 3)),
    "alias_copy": (aten.alias_copy, (2, 3)),
    "detach_copy": (aten.detach_copy, (2, 3)),
    "fliplr": (aten.fliplr, (2, 3)),
    "flipud": (aten.flipud, (2, 3)),
    "rot90": (lambda x: aten.rot90(x, 1, [0, 1]), (2, 3)),
    "narrow_copy": (lambda x: aten.narrow_copy(x, 1, 0, 2), (2, 3)),
    "tile": (lambda x: aten.tile(x, [2, 1]), (2, 3)),
    "native_channel_shuffle": (lambda x: aten.native_channel_shuffle(x, 2), (1, 4, 2, 2)),
    "broadcast_tensors": (lambda x: aten.broadcast_tensors([x, x[:1]])[1], (2, 3)),
    "meshgrid": (lambda x: aten.meshgrid([x, x], indexing="ij")[0], (3,)),
    "combinations": (aten.combinations, (3,)),
    "sum_to_size": (lambda x: aten.sum_to_size(x, [1, 3]), (2, 3)),
    "negative": (aten.negative, (2, 3)),
    "divide": (lambda x: aten.divide(x, 3.0), (2, 4)),
    "true_divide": (lambda x: aten.true_divide(x, 3.0), (2, 4)),
    "mean": (lambda x: aten.mean(x, [1]), (2, 3)),
    "sum": (lambda x: aten.sum(x, [1]), (2, 3)),
    "neg": (aten.neg, (2, 3)),
    "roll": (lambda x: aten.roll(x, [1], [1]), (2, 3)),
    "flip": (lambda x: aten.flip(x, [1]), (2, 3)),
    "index_select": (lambda x: aten.index_select(x, 1, torch.tensor([2, 0])), (2, 3)),
    "narrow": (lambda x: aten.narrow(x, 1, 0, 2), (2, 3)),
    "repeat": (lambda x: aten.repeat(x, [2, 1]), (2, 3)),
    "pixel_shuffle": (lambda x: aten.pixel_shuffle(x, 2), (1, 4, 2, 2)),
    "pixel_unshuffle": (lambda x: aten.pixel_unshuffle(x, 2), (1, 1, 4, 4)),
    "channel_shuffle": (lambda x: aten.channel_shuffle(x, 2), (1, 4, 2, 2)),
    "avg_pool1d": (lambda x: aten.avg_pool1d(x, [2]), (1, 2, 4)),
    "avg_pool2d": (lambda x: aten.avg_pool2d(x, [2, 2], [1, 1], [1, 1]), (1, 2, 4, 4)),
    "avg_pool3d": (lambda x: aten.avg_pool3d(x, [2, 2, 2]), (1, 2, 4, 4, 4)),
    "adaptive_avg_pool1d": (lambda x: aten.adaptive_avg_pool1d(x, [2]), (1, 2, 5)),
    "adaptive_avg_pool2d": (lambda x: aten.adaptive_avg_pool2d(x, [2, 2]), (1, 2, 5, 5)),
    "adaptive_avg_pool3d": (lambda x: aten.adaptive_avg_pool3d(x, [2, 2, 2]), (1, 2, 5, 5, 5)),
    "upsample_nearest2d": (lambda x: aten.upsample_nearest2d(x, [5, 5]), (1, 2, 3, 3)),
    "upsample_bilinear2d": (lambda x: aten.upsample_bilinear2d(x, [5, 5], False), (1, 2, 3, 3)),
    "upsample_bicubic2d": (lambda x: aten.upsample_bicubic2d(x, [5, 5], False), (1, 2, 3, 3)),
    "getitem": (lambda x: (x, x)[0], (2, 3)),
    "matmul": (lambda x: aten.matmul(x, W), (2, 4)),
    "bmm": (lambda x: aten.bmm(W[None], x), (1, 4, 2)),
    "mm": (lambda x: aten.mm(x, W), (2, 4)),
    "mul": (lambda x: aten.mul(x, B), (2, 4)),
    "multiply": (lambda x: aten.multiply(x, B), (2, 4)),
    "einsum": (lambda x: aten.einsum("bi,io->bo", [x, W]), (2, 4)),
    "linear": (lambda x: aten.linear(x, W), (2, 4)),
    "conv1d": (lambda x: aten.conv1d(x, K1), (1, 4, 5)),
    "conv2d": (lambda x: aten.conv2d(x, K2), (1, 4, 5, 5)),
    "conv3d": (lambda x: aten.conv3d(x, K3), (1, 4, 5, 5, 5)),
    "div": (lambda x: aten.div(x, 3.0), (2, 4)),
    "constant_pad_nd": (lambda x: aten.constant_pad_nd(x, [1, 1], 0), (2, 4)),
}
OF_TWO_STREAMS = {
    "add": lambda x, y: aten.add(x, y, alpha=2),
    "sub": aten.sub,
    "subtract": aten.subtract,
    "cat": lambda x, y: aten.cat([x, y], 1),
    "concat": lambda x, y: aten.concat([x, y], 1),
    "concatenate": lambda x, y: aten.concatenate([x, y], 1),
    "stack": lambda x, y: aten.stack([x, y]),
    **{
        name: lambda x, y, name=name: getattr(aten, name)([x, y])
        for name in "hstack vstack dstack column_stack row_stack".split()
    },
    "cartesian_prod": lambda x, y: aten.cartesian_prod([x[0], y[1]]),
    "tuple": lambda x, y: aten.stack(tuple([x, y])),
}


def test_the_table_is_covered():
    assert set(LINEAR) | set(OF_TWO_STREAMS) == set(homogeneity._CONDITIONS)


@pytest.mark.parametrize("name", sorted(LINEAR))
def test_listed_operators_are_linear_and_homogeneous(name):
    call, shape = LINEAR[name]
    x, y = torch.randn(2, *shape, dtype=torch.float64)
    torch.testing.assert_close(call(3 * x - 2 * y), 3 * call(x) - 2 * call(y))


@pytest.mark.parametrize("name", sorted(OF_TWO_STREAMS))
def test_listed_operators_of_two_streams_are_linear_in_them_together(name):
    call = OF_TWO_STREAMS[name]
    (a, b), (c, d) = torch.randn(2, 2, 2, 3, dtype=torch.float64)
    torch.testing.assert_close(call(3 * a - 2 * c, 3 * b - 2 * d), 3 * call(a, b) - 2 * call(c, d))


IMAGE, INDEX = (1, 2, 4, 4), torch.tensor([2, 0])
MASK = torch.tensor([True, False, True, False])
GRID = {n: torch.rand(1, *[3] * n, n).double() * 2 - 1 for n in (2, 3)}

# operator: (call of one stream, shape of the stream)
ADDS_UP = {
    "cumsum": (lambda x: aten.cumsum(x, 1), (2, 3)),
    "diff": (aten.diff, (2, 3)),
    "nansum": (aten.nansum, (2, 3)),
    "gradient": (lambda x: aten.gradient(x, spacing=0.3, dim=1)[0], (2, 3)),
    "affine_grid_generator": (
        lambda x: aten.affine_grid_generator(x, [2, 1, 3, 3], False),
        (2, 2, 3),
    ),
    "trapezoid": (lambda x: aten.trapezoid(x, dx=0.3), (2, 3)),
    "trapz": (lambda x: aten.trapz(x, dx=0.3), (2, 3)),
    "cumulative_trapezoid": (lambda x: aten.cumulative_trapezoid(x, dx=0.3), (2, 3)),
    "linalg_diagonal": (aten.linalg_diagonal, (3, 3)),
    "diagonal_copy": (aten.diagonal_copy, (3, 3)),
    "diag_embed": (aten.diag_embed, (2, 3)),
    "diagflat": (aten.diagflat, (2, 3)),
    "unfold_copy": (lambda x: aten.unfold_copy(x, 1, 2, 1), (2, 4)),
    "trace": (aten.trace, (3, 3)),
    "tril": (aten.tril, (3, 3)),
    "triu": (aten.triu, (3, 3)),
    "diagonal": (aten.diagonal, (3, 3)),
    "im2col": (lambda x: aten.im2col(x, [2, 2], [1, 1], [0, 0], [1, 1]), IMAGE),
    "col2im": (lambda x: aten.col2im(x, [3, 3], [2, 2], [1, 1], [0, 0], [1, 1]), (1, 8, 4)),
    "unfold": (lambda x: aten.unfold(x, 1, 2, 1), (2, 4)),
    "pad": (lambda x: aten.pad(x, [1, 1], "constant", 2.0), (2, 3)),
    "constant_pad_nd": (lambda x: aten.constant_pad_nd(x, [1, 1], 2.0), (2, 3)),
    "repeat_interleave": (lambda x: aten.repeat_interleave(x, 2, 1), (2, 3)),
    "index": (lambda x: aten.index(x, [None, INDEX]), (2, 3)),
    "gather": (lambda x: aten.gather(x, 1, INDEX[None]), (2, 3)),
    "take_along_dim": (lambda x: aten.take_along_dim(x, INDEX[None], 1), (2, 3)),
    **{
        f"{how}_pad{n}d": (
            lambda x, how=how, n=n: getattr(aten, f"{how}_pad{n}d")(x, [1, 1] * n),
            (1, 2, *[3] * n),
        )
        for how in ("reflection", "replication")
        for n in (1, 2, 3)
    },
    "grid_sampler": (lambda x: aten.grid_sampler(x, GRID[2], 0, 0, False), IMAGE),
    "grid_sampler_2d": (lambda x: aten.grid_sampler_2d(x, GRID[2], 0, 0, False), IMAGE),
    "grid_sampler_3d": (lambda x: aten.grid_sampler_3d(x, GRID[3], 0, 0, False), (1, 2, 3, 3, 3)),
    "upsample_linear1d": (lambda x: aten.upsample_linear1d(x, [5], False), (1, 2, 3)),
    "upsample_trilinear3d": (
        lambda x: aten.upsample_trilinear3d(x, [5] * 3, False),
        (1, 2, 3, 3, 3),
    ),
    "upsample_nearest1d": (lambda x: aten.upsample_nearest1d(x, [5]), (1, 2, 3)),
    "upsample_nearest3d": (lambda x: aten.upsample_nearest3d(x, [5] * 3), (1, 2, 3, 3, 3)),
    **{
        f"_upsample_nearest_exact{n}d": (
            lambda x, n=n: getattr(aten, f"_upsample_nearest_exact{n}d")(x, [5] * n),
            (1, 2, *[3] * n),
        )
        for n in (1, 2, 3)
    },
    "_upsample_bilinear2d_aa": (lambda x: aten._upsample_bilinear2d_aa(x, [3, 3], False), IMAGE),
    "_upsample_bicubic2d_aa": (lambda x: aten._upsample_bicubic2d_aa(x, [3, 3], False), IMAGE),
    "_adaptive_avg_pool2d": (lambda x: aten._adaptive_avg_pool2d(x, [2, 2]), IMAGE),
    "_adaptive_avg_pool3d": (lambda x: aten._adaptive_avg_pool3d(x, [2] * 3), (1, 2, 5, 5, 5)),
    "add": (lambda x: aten.add(x, B), (2, 4)),
    "sub": (lambda x: aten.sub(B, x), (2, 4)),
    "rsub": (lambda x: aten.rsub(x, 1.0), (2, 4)),
    "cat": (lambda x: aten.cat([x, W]), (2, 4)),
    "concat": (lambda x: aten.concat([x, W]), (2, 4)),
    "concatenate": (lambda x: aten.concatenate([x, W]), (2, 4)),
    "complex": (lambda x: aten.complex(x, B), (2, 4)),
    "real": (lambda x: aten.real(torch.complex(x, 2 * x)), (2, 4)),
    "imag": (lambda x: aten.imag(torch.complex(x, 2 * x)), (2, 4)),
    "conj": (lambda x: aten.conj(torch.complex(x, 2 * x)), (2, 4)),
    "_conj": (lambda x: aten._conj(torch.complex(x, 2 * x)), (2, 4)),
    "view_as_real": (lambda x: aten.view_as_real(torch.complex(x, 2 * x)), (2, 4)),
    "view_as_complex": (aten.view_as_complex, (4, 2)),
    "deg2rad": (aten.deg2rad, (2, 4)),
    "rad2deg": (aten.rad2deg, (2, 4)),
    "fft_fftshift": (aten.fft_fftshift, (2, 4)),
    "fft_ifftshift": (aten.fft_ifftshift, (2, 4)),
    "type_as": (lambda x: aten.type_as(x, torch.zeros(1, dtype=torch.complex128)), (2, 4)),
    "stack": (lambda x: aten.stack([x, B]), (4,)),
    **{
        name: (lambda x, name=name: getattr(aten, name)([x, B]), (4,))
        for name in "hstack vstack dstack column_stack row_stack cartesian_prod".split()
    },
    "block_diag": (lambda x: aten.block_diag([x, B]), (2, 4)),
    "pad_sequence": (lambda x: aten.pad_sequence([x, B], True, 2.0), (3,)),
    "subtract": (lambda x: aten.subtract(x, B), (2, 4)),
    "batch_norm": (
        lambda x: aten.batch_norm(x, B, B, B, B.abs() + 1, False, 0.1, 1e-5, False),
        (2, 4),
    ),
    "_native_batch_norm_legit_no_training": (
        lambda x: aten._native_batch_norm_legit_no_training(x, B, B, B, B.abs() + 1, 0.1, 1e-5)[0],
        (2, 4),
    ),
    "expand_as": (lambda x: aten.expand_as(x, torch.zeros(2, 3)), (1, 3)),
    "view_as": (lambda x: aten.view_as(x, torch.zeros(3, 2)), (2, 3)),
    "reshape_as": (lambda x: aten.reshape_as(x, torch.zeros(3, 2)), (2, 3)),
    "to": (lambda x: aten.to(x, torch.complex128), (2, 3)),
    "_to_copy": (lambda x: aten._to_copy(x, dtype=torch.complex128), (2, 3)),
    "addcmul": (lambda x: aten.addcmul(x, x, B, value=2.0), (2, 4)),
    "addcdiv": (lambda x: aten.addcdiv(x, x, B, value=2.0), (2, 4)),
    "lerp": (lambda x: aten.lerp(x, B, 0.25), (2, 4)),
    "masked_fill": (lambda x: aten.masked_fill(x, MASK, -1e4), (2, 4)),
    "where": (lambda x: aten.where(MASK, x, B), (2, 4)),
    "scatter_reduce": (
        lambda x: aten.scatter_reduce(x[:, :2], 1, torch.tensor([[0, 0, 1, 0]] * 2), x, "mean"),
        (2, 4),
    ),
    "index_reduce": (
        lambda x: aten.index_reduce(x[:, :2], 1, torch.tensor([0, 0, 1, 0]), x, "mean"),
        (2, 4),
    ),
}


def test_the_table_of_what_adds_up_is_covered():
    assert set(ADDS_UP) == set(homogeneity._ADDING)


@pytest.mark.parametrize("name", sorted(ADDS_UP))
def test_what_adds_up_is_linear_but_for_a_constant(name):
    call, shape = ADDS_UP[name]
    x, y = torch.randn(2, *shape, dtype=torch.float64)
    torch.testing.assert_close(call(3 * x - 2 * y), 3 * call(x) - 2 * call(y))


STREAM, STATIC = "stream", "static"


def is_stream(x):
    return x == STREAM


@pytest.mark.parametrize(
    ("operator", "arguments", "expected"),
    [
        ("add", {"self": STREAM, "other": STREAM, "alpha": 1}, True),
        ("tuple", {"0": [STREAM, STREAM]}, True),
        ("tuple", {"0": [STREAM, STATIC]}, False),
        ("add", {"self": STREAM, "other": STATIC}, False),  # a positional embedding
        ("add", {"self": STREAM, "other": 1.0}, False),
        ("sub", {"self": STATIC, "other": STREAM}, False),  # 1 - x
        ("mul", {"self": STREAM, "other": STATIC}, True),
        ("mul", {"self": STREAM, "other": STREAM}, False),
        ("matmul", {"self": STREAM, "other": STREAM}, False),
        ("cat", {"tensors": [STREAM, STREAM], "dim": 1}, True),
        ("cat", {"tensors": [STATIC, STREAM], "dim": 1}, False),  # a class token
        ("atleast_1d", {"tensors": [STREAM, STREAM]}, True),
        ("atleast_1d", {"tensors": [STREAM, STATIC]}, False),
        ("meshgrid", {"tensors": []}, False),
        ("linear", {"input": STREAM, "weight": STATIC, "bias": None}, True),
        ("linear", {"input": STREAM, "weight": STATIC, "bias": STATIC}, False),
        ("linear", {"input": STREAM, "weight": STREAM, "bias": None}, False),
        ("div", {"self": STREAM, "other": STATIC}, True),
        ("div", {"self": STREAM, "other": STATIC, "rounding_mode": "floor"}, False),
        ("div", {"self": STATIC, "other": STREAM}, False),
        ("constant_pad_nd", {"self": STREAM, "pad": [1, 1], "value": 0}, True),
        ("constant_pad_nd", {"self": STREAM, "pad": [1, 1], "value": 1.0}, False),
        ("index_select", {"self": STREAM, "dim": 0, "index": STREAM}, False),
        ("batch_norm", {"input": STREAM, "weight": STATIC}, False),
        ("relu", {"self": STREAM}, False),
        ("view", {}, False),
    ],
)
def test_conditions(operator, arguments, expected):
    assert is_homogeneous(operator, arguments, is_stream) is expected


@pytest.mark.parametrize(
    ("operator", "arguments", "expected"),
    [
        ("mean", {"self": STREAM, "dim": [1]}, True),  # homogeneous, so it adds up
        ("add", {"self": STREAM, "other": STATIC}, True),
        ("rsub", {"self": STREAM, "other": 1.0}, True),
        ("constant_pad_nd", {"self": STREAM, "pad": [1, 1], "value": 1.0}, True),
        ("lerp", {"self": STREAM, "end": STREAM, "weight": 0.5}, True),
        ("trapezoid", {"y": STREAM, "x": STATIC}, True),
        ("trapezoid", {"y": STREAM, "x": STREAM}, False),
        ("lerp", {"self": STREAM, "end": STREAM, "weight": STREAM}, False),
        ("grid_sampler", {"input": STREAM, "grid": STATIC}, True),
        ("grid_sampler", {"input": STREAM, "grid": STREAM}, False),
        ("grid_sampler", {"input": STATIC, "grid": STREAM}, False),
        ("where", {"condition": STATIC, "self": STREAM, "other": STREAM}, True),
        ("where", {"condition": STREAM, "self": STREAM, "other": 0.0}, False),
        ("masked_fill", {"self": STREAM, "mask": STREAM, "value": 0.0}, False),
        ("index", {"self": STREAM, "indices": [None, STATIC]}, True),
        ("index", {"self": STREAM, "indices": [None, STREAM]}, False),
        ("addcmul", {"self": STREAM, "tensor1": STREAM, "tensor2": STATIC}, True),
        ("addcmul", {"self": STATIC, "tensor1": STREAM, "tensor2": STREAM}, False),
        ("addcdiv", {"self": STREAM, "tensor1": STATIC, "tensor2": STREAM}, False),
        ("batch_norm", {"input": STREAM, "weight": STATIC, "training": False}, True),
        ("batch_norm", {"input": STREAM, "weight": STATIC, "training": True}, False),
        ("to", {"self": STREAM, "dtype": torch.float64}, True),
        ("to", {"self": STREAM, "dtype": torch.int64}, False),
        ("scatter_reduce", {"self": STREAM, "index": STATIC, "reduce": "mean"}, True),
        ("scatter_reduce", {"self": STREAM, "index": STREAM, "reduce": "mean"}, False),
        ("index_reduce", {"self": STREAM, "index": STATIC, "reduce": "prod"}, False),
        ("mul", {"self": STREAM, "other": STREAM}, False),
        ("relu", {"self": STREAM}, False),
        ("layer_norm", {"input": STREAM}, False),
    ],
)
def test_what_has_factors_that_change_does_not_add_up(operator, arguments, expected):
    assert adds_up(operator, arguments, is_stream) is expected


def test_softplus_is_not_linear_here():
    """The linearity test itself can fail."""
    x, y = torch.randn(2, 5, dtype=torch.float64)
    softplus: Tensor = torch.nn.functional.softplus
    with pytest.raises(AssertionError):
        torch.testing.assert_close(softplus(3 * x - 2 * y), 3 * softplus(x) - 2 * softplus(y))
