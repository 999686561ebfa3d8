"""What spiking recurrent cells and layers have in common: their two steps."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from snnconvert.ops.surrogate import Surrogate, heaviside, surrogate_named


class SpikingGates(nn.Module):
    """Mixin of modules whose gates are Heaviside steps with surrogate gradients.

    Attributes:
        surrogate_function1: of the gates.
        surrogate_function2: of the candidate (``g``, ``n``).
    """

    to_be_trained = True

    def _set_surrogates(self, first: str | Surrogate, second: str | Surrogate | None) -> None:
        self.surrogate_function1 = surrogate_named(first)
        self.surrogate_function2 = surrogate_named(first if second is None else second)

    def _step1(self, x: Tensor) -> Tensor:
        return heaviside(x, self.surrogate_function1)

    def _step2(self, x: Tensor) -> Tensor:
        return heaviside(x, self.surrogate_function2)

    def cumulative(self, x: Any, hx: Any = None) -> Any:
        """Return what the module returns: a converted network calls operators by this name."""
        return self(x, hx)

    def extra_repr(self) -> str:
        shown = f"{super().extra_repr()}, surrogate_function1={self.surrogate_function1}"
        if self.surrogate_function2 == self.surrogate_function1:
            return shown
        return f"{shown}, surrogate_function2={self.surrogate_function2}"
