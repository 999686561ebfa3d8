"""A raster: the spikes of some neurons over time, drawn."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from snnconvert.errors import ArgumentError, DependencyError

_SMALL, _LARGE = 4.0, 30.0  # area of the largest spike's dot, in square points
_HEIGHT = 300.0  # of a usual figure's axes, in points: dots of few neurons do not overlap
_COLORS = (("tab:red", 1), ("tab:blue", -1))


def draw_raster(spikes: Tensor, title: str, most: int, ax: Any) -> Any:
    """Draw spikes over time: a dot each, its area by its size, red above 0 and blue below.

    Args:
        spikes: ``[T, N]``.
        title: what they are of.
        most: how many neurons are drawn; of more, so many, evenly spaced, as the title then says.
        ax: of matplotlib, to draw on; None: of a new figure.

    Returns:
        The ``matplotlib.axes.Axes``.

    Raises:
        DependencyError: matplotlib is not installed.
        ArgumentError: no neuron is to be drawn.
    """
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise ArgumentError("most", most, "allowed is a whole number >= 1, of neurons to draw")
    ax = _new_axes() if ax is None else ax
    steps, neurons = spikes.shape
    shown = torch.arange(neurons)
    if neurons > most:
        shown = torch.linspace(0, neurons - 1, most, dtype=torch.float64).long()
        title = f"{title}\n{most:,} of {neurons:,} neurons, evenly spaced"
    drawn = spikes.detach().to("cpu", torch.float64)[:, shown]
    area = min(_LARGE, max(_SMALL, (_HEIGHT / max(len(shown), 1)) ** 2))
    largest = max(drawn.abs().max().item() if drawn.numel() else 0.0, torch.finfo(drawn.dtype).tiny)
    for color, sign in _COLORS:
        t, n = torch.nonzero(drawn * sign > 0, as_tuple=True)
        areas = drawn[t, n].abs() / largest * area
        label = "above 0" if sign > 0 else "below 0"
        ax.scatter(t.numpy(), shown[n].numpy(), s=areas.numpy(), c=color, linewidths=0, label=label)
    ax.set(title=title, xlabel="time step", ylabel="neuron")
    ax.set(xlim=(-0.5, steps - 0.5), ylim=(-0.5, neurons - 0.5))
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.yaxis.get_major_locator().set_params(integer=True)
    return ax


def _new_axes() -> Any:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise DependencyError("matplotlib", "plot", "a plot of spikes") from error
    return pyplot.subplots(layout="constrained")[1]
