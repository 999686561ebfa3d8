"""Short-time Fourier transforms taken apart: windows of a signal, each transformed, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import fx

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.emitter import Emitter
from snnconvert.converter.graph.meta import fixed_size
from snnconvert.converter.spikes.apart.part import Apart, Part

_aten = torch.ops.aten


def take_stft_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace ``aten.stft``: ``S_kt = sum_n w_n x_{n + t hop} exp(-2 pi i k n / N)``.

    A signal that the operator itself pads is left as it is: ``torch.stft`` pads before it.
    """
    given = arguments_of(node)
    if given.get("center"):
        return None
    x, width = given["self"], given["n_fft"]
    scaled = "ortho" if given["normalized"] else None
    with emit.at(node):
        if given.get("align_to_window"):  # frames reach beyond the signal where windows do not
            x = emit(_aten.constant_pad_nd.default, x, _around(given))
        frames = emit(_aten.unfold.default, x, -1, width, given["hop_length"] or width // 4)
        if (window := _window(emit, given)) is not None:
            frames = emit(_aten.mul.Tensor, frames, window)
        real = not x.meta["val"].is_complex()
        half = real if given["onesided"] is None else given["onesided"]
        transform = _aten.fft_rfft.default if half else _aten.fft_fft.default
        spectrum = emit(transform, frames, None, -1, scaled)
        y = emit(_aten.transpose.int, spectrum, -1, -2)
        if not node.meta["val"].is_complex():  # left to the operator, it follows the signal
            y = emit(_aten.view_as_real.default, y)
    emit.replace(node, y)
    return Apart(maps=(Part(spectrum, {"self": "frames"}),))


def take_istft_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace ``aten.istft``: windows that are transformed back overlap, and what is added so is
    divided by what their squares add up to (Griffin and Lim, IEEE Transactions on Acoustics,
    Speech, and Signal Processing 32, 1984, eq. 6)."""
    given = arguments_of(node)
    width, count = given["n_fft"], fixed_size(given["self"].meta["val"].shape[-1])
    if not count:
        return None
    hop = given["hop_length"] or width // 4
    size = width + hop * (count - 1)
    scaled = "ortho" if given["normalized"] else None
    with emit.at(node):
        spectrum = emit(_aten.transpose.int, given["self"], -1, -2)
        real = not given["return_complex"]  # then the upper half of a spectrum is a mirror
        transform = _aten.fft_irfft.default if real else _aten.fft_ifft.default
        frames = emit(transform, spectrum, width if real else None, -1, scaled)
        window = _window(emit, given)
        value = frames.meta["val"]
        if window is None:
            window = emit(_aten.full.default, [width], 1, dtype=value.dtype, device=value.device)
        weights = emit(_aten.expand.default, emit(_aten.square.default, window), [count, width])
        first = width // 2 if given["center"] else 0
        last = size - first if given["length"] is None else min(first + given["length"], size)
        y, norm = (
            emit(_aten.slice.Tensor, _overlapped(emit, x, count, hop), -1, first, last)
            for x in (emit(_aten.mul.Tensor, frames, window), weights)
        )
        y = emit(_aten.div.Tensor, y, norm)
        if given["length"] is not None and first + given["length"] > size:
            y = emit(_aten.constant_pad_nd.default, y, [0, first + given["length"] - size])
    emit.replace(node, y)
    return Apart(maps=(Part(frames, {"self": "spectrum"}),))


def _overlapped(emit: Emitter, frames: fx.Node, count: int, hop: int) -> fx.Node:
    """Return the signal of frames ``[..., count, width]`` that are added ``hop`` samples apart."""
    width = frames.meta["val"].shape[-1]
    parts = math.ceil(width / hop)
    if parts * hop > width:
        frames = emit(_aten.constant_pad_nd.default, frames, [0, parts * hop - width])

    def moved(part: int) -> fx.Node:
        own = emit(_aten.slice.Tensor, frames, -1, part * hop, (part + 1) * hop)
        own = emit(_aten.flatten.using_ints, own, -2, -1)
        return emit(_aten.constant_pad_nd.default, own, [part * hop, (parts - 1 - part) * hop])

    signal = moved(0)
    for part in range(1, parts):
        signal = emit(_aten.add.Tensor, signal, moved(part))
    return signal


def _window(emit: Emitter, given: Mapping[str, Any]) -> fx.Node | None:
    """Return the weights of a frame's samples, with zeros around a window that is shorter."""
    width, window = given["n_fft"], given["window"]
    size = given["win_length"] or width
    if window is None and size == width:
        return None
    if window is None:
        value = given["self"].meta["val"]
        dtype = value.dtype.to_real() if value.is_complex() else value.dtype
        window = emit(_aten.full.default, [size], 1, dtype=dtype, device=value.device)
    if size == width:
        return window
    return emit(_aten.constant_pad_nd.default, window, _around(given))


def _around(given: Mapping[str, Any]) -> list[int]:
    """Return how many samples of a frame are before and behind its window."""
    left = given["n_fft"] - (given["win_length"] or given["n_fft"])
    return [left // 2, left - left // 2]
