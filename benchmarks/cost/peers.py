"""MLP blocks, ours and by SpikingJelly's recipes, which take no mixer of timm."""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable

import torch
from torch import Tensor, nn

import snnconvert
from snnconvert.speed.rounds import Ratio, in_turn

TIME_STEPS, BATCH, TOKENS, WIDTH, DEPTH = 8, 4, 196, 192, 6
IS_INSTALLED = importlib.util.find_spec("spikingjelly") is not None


class Block(nn.Module):
    """A pre-norm MLP block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.act = nn.LayerNorm(width), nn.GELU()
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.down(self.act(self.up(self.norm(x))))
        return y


def _blocks() -> tuple[nn.Module, Tensor]:
    """Return the network, and increments ``[T, B, tokens, features]``."""
    model = nn.Sequential(*(Block(WIDTH) for _ in range(DEPTH))).eval()
    return model, torch.randn(TIME_STEPS, BATCH, TOKENS, WIDTH)


def ours(rounds: int) -> Ratio:
    """Return how long our exact conversion takes over the source."""
    model, x_seq = _blocks()
    snn = snnconvert.convert(model, (x_seq[0],), verify=False)
    return in_turn(lambda: snn(x_seq), lambda: model(x_seq.flatten(0, 1)), rounds)


def td(rounds: int) -> Ratio:
    """Return how long the recipe ``transformer_td_equivalent`` takes over the source."""
    from spikingjelly.activation_based import ann2snn, functional

    model, x_seq = _blocks()
    peer = ann2snn.Converter("transformer_td_equivalent").convert(copy.deepcopy(model))

    def run() -> None:
        functional.reset_net(peer)
        peer(x_seq)

    return in_turn(run, lambda: model(x_seq.flatten(0, 1)), rounds)


def sta(rounds: int) -> Ratio:
    """Return how long `STATransformerRecipe`, with its neurons, takes over the source, step by
    step, as it is returned."""
    from spikingjelly.activation_based import ann2snn, functional

    model, x_seq = _blocks()
    recipe = ann2snn.recipes.STATransformerRecipe(
        dataloader=[x_seq[0]],
        time_steps=TIME_STEPS,
        mode="spiking_encoder",
        show_progress=False,
    )
    peer = ann2snn.Converter(recipe).convert(copy.deepcopy(model))

    def run() -> None:
        functional.reset_net(peer)
        for x in x_seq:
            peer(x)

    return in_turn(run, lambda: model(x_seq.flatten(0, 1)), rounds)


RUNS: dict[str, tuple[Callable[[int], Ratio], bool]] = {
    "6 MLP blocks, exact, against T * B": (ours, False),
    "the same by SpikingJelly's TD recipe": (td, True),
    "the same by SpikingJelly's STA recipe": (sta, True),
}
"""What is measured, and whether it needs SpikingJelly."""
