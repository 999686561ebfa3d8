"""TDEmbedding: held ids, rows that enter once."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from snnconvert.errors import InputError, StateError
from snnconvert.ops import TDEmbedding

T = 4
IDS = torch.tensor([[1, 2, 2], [0, 4, 3]])


@pytest.fixture
def embedding() -> nn.Embedding:
    torch.manual_seed(0)
    return nn.Embedding(5, 3).double()


def test_held_ids_enter_once(embedding: nn.Embedding) -> None:
    y_seq = TDEmbedding.from_ann(embedding)(IDS.expand(T, *IDS.shape))
    assert y_seq.shape == (T, 2, 3, 3)
    torch.testing.assert_close(y_seq[0], embedding(IDS), rtol=0, atol=0)
    assert not y_seq[1:].any()


def test_ids_that_change_are_followed(embedding: nn.Embedding) -> None:
    ids_seq = torch.randint(5, (T, 2, 3))
    y_seq = TDEmbedding.from_ann(embedding)(ids_seq)
    torch.testing.assert_close(y_seq.cumsum(0), embedding(ids_seq), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32])
def test_step_equals_forward(embedding: nn.Embedding, dtype: torch.dtype) -> None:
    operator = TDEmbedding.from_ann(embedding)
    ids_seq = torch.randint(5, (T, 2, 3), dtype=dtype)
    for _ in range(2):
        steps = torch.stack([operator.step(ids) for ids in ids_seq])
        torch.testing.assert_close(steps, operator(ids_seq), rtol=0, atol=0)
        operator.reset()


def test_gradient_reaches_the_rows(embedding: nn.Embedding) -> None:
    TDEmbedding.from_ann(embedding)(IDS.expand(T, *IDS.shape)).sum().backward()
    counts = torch.bincount(IDS.flatten(), minlength=5).double()
    torch.testing.assert_close(embedding.weight.grad, counts[:, None].expand(5, 3))


def test_another_shape_is_a_state_error(embedding: nn.Embedding) -> None:
    operator = TDEmbedding.from_ann(embedding)
    operator.step(IDS)
    with pytest.raises(StateError, match=r"\[2, 3, 3\].*\[1, 3, 3\].*reset"):
        operator.step(IDS[:1])


@pytest.mark.parametrize("form", ["__call__", "step"])
def test_ids_that_are_no_integers(embedding: nn.Embedding, form: str) -> None:
    with pytest.raises(InputError, match=r"int64.*received torch.float32"):
        getattr(TDEmbedding.from_ann(embedding), form)(torch.zeros(2, 3))


def test_from_pretrained() -> None:
    weight = torch.randn(5, 3)
    operator = TDEmbedding.from_pretrained(weight)
    assert isinstance(operator, TDEmbedding)
    torch.testing.assert_close(operator.step(IDS), weight[IDS])
