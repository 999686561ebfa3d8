"""A module that came out of a file repeats nothing that it has no weights for."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from snnconvert.errors import SourceError
from snnconvert.sources.modules import checked_module

SOUND = [
    nn.LSTM(4, 4, 2, bidirectional=True),
    nn.GRU(4, 4, bias=False),
    nn.LSTM(4, 4, proj_size=2),
    nn.MultiheadAttention(8, 2),
    nn.TransformerEncoderLayer(8, 4, 8),
]
DAMAGED: list[tuple[type[nn.Module], tuple[int, ...], str, Any]] = [
    (nn.GRU, (4, 4), "num_layers", 10**8),
    (nn.LSTM, (4, 4), "num_layers", -1),
    (nn.RNN, (4, 4), "num_layers", "1"),
    (nn.MultiheadAttention, (8, 2), "num_heads", 0),
    (nn.MultiheadAttention, (8, 2), "num_heads", 3),
    (nn.MultiheadAttention, (8, 2), "embed_dim", None),
]


@pytest.mark.parametrize("module", SOUND, ids=lambda module: type(module).__name__)
def test_sound_modules_are_accepted(module: nn.Module) -> None:
    assert checked_module(nn.Sequential(module), 10_000, "f")[0][0] is module


@pytest.mark.parametrize(("kind", "sizes", "name", "value"), DAMAGED)
def test_what_does_not_fit_the_weights_is_refused(
    kind: type[nn.Module], sizes: tuple[int, ...], name: str, value: Any
) -> None:
    module = kind(*sizes)
    setattr(module, name, value)
    with pytest.raises(SourceError, match=f"{kind.__name__} is damaged"):
        checked_module(nn.Sequential(module), 10_000, "f")


def test_trees_that_recursion_cannot_walk_are_refused() -> None:
    def nested(levels: int) -> nn.Module:
        model: nn.Module = nn.ReLU()
        for _ in range(levels):
            model = nn.Sequential(model)
        return model

    assert checked_module(nested(50), 10_000, "f")
    for levels in (51, 5000):
        with pytest.raises(SourceError, match="nested more than 50 levels"):
            checked_module(nested(levels), 10_000, "f")
