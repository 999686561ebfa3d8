"""Random increments, on which both sides of a comparison are run."""

from __future__ import annotations

import torch
from torch import Tensor

from snnconvert.ops.encoding import Encoding
from snnconvert.ops.seeds import generator_of

_BITS = 10  # of the noise below its standard deviation's leading one


class RandomIncrements(Encoding):
    """Signed random increments that end at the value: ``X_t = (t + 1)/T x + noise``, ``X_T-1 = x``.

    The noise is whole steps of a power of two, so that what comes and goes of it leaves nothing: a
    zero, as of padding that the source tells by ``x == 0``, is one again at the end.

    With ``keep_sign`` the noise is a factor in (0, 1], for inputs whose sign matters.
    """

    def __init__(self, seed: int = 0, keep_sign: bool = False) -> None:
        self.seed, self.keep_sign = seed, keep_sign

    def cumulative(self, x: Tensor, start: int, steps: int, total: int, name: str = "") -> Tensor:
        return torch.stack([self._at(x, t, total, name) for t in range(start, start + steps)])

    def _at(self, x: Tensor, t: int, total: int, name: str) -> Tensor:
        if t >= total - 1 or not x.numel():
            return x
        finite = torch.isfinite(x)
        if not bool(finite.all()):  # a mask of minus infinities is there from the first step
            return torch.where(finite, self._at(x.masked_fill(~finite, 0.0), t, total, name), x)
        generator = generator_of(f"{self.seed} {name} {t}")
        noise = torch.randn(x.shape, generator=generator, dtype=torch.float64)
        dtype = x.dtype if not x.is_complex() else None
        if self.keep_sign:
            return x * noise.to(x.device, dtype).abs().clamp(0.05, 2.0) / 2.0
        sizes = x.detach().abs().to("cpu", torch.float64)
        scale = sizes.std() if x.numel() > 1 else sizes.max()
        scale = torch.where(scale > 0, scale, 1.0)
        step = torch.ldexp(torch.ones(()), scale.frexp().exponent - 1 - _BITS).to(scale.dtype)
        steps = (noise * (scale / step)).round()
        return x * ((t + 1) / total) + (steps * step).to(x.device, dtype)
