from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import snnconvert
from snnconvert.converter.deciding.decide import decide
from snnconvert.converter.deciding.streams import Domain, content_indices, random_nodes
from snnconvert.converter.tracing.trace import trace
from tests.converter.conftest import TinyLM, TinyViT


def domains(model, args=(), kwargs=None):
    decided = decide(trace(model, args, kwargs), snnconvert.load_rules("default"))
    return {node.name: domain for node, domain in decided.streams.domains.items()}, decided


def test_domains_of_a_vision_transformer():
    found, decided = domains(TinyViT().eval(), (torch.randn(2, 1, 4, 4),))
    assert found["x"] is Domain.STREAM
    assert found["cls"] is Domain.STATIC
    assert found["expand"] is Domain.SIZED  # the class token, as often as the batch is large
    assert found["cat"] is Domain.STREAM
    assert decided.streams.unfoldable == ""


def test_ids_are_held_until_their_embedding():
    inputs = {"ids": torch.randint(0, 11, (2, 5)), "mask": torch.ones(2, 5, dtype=torch.long)}
    traced = trace(TinyLM().eval(), (), inputs)
    kinds = sorted(content_indices(traced).values())
    assert kinds == ["derived", "held"]  # positions are derived from the mask
    found, _ = domains(TinyLM().eval(), (), inputs)
    assert found["ids"] is Domain.HELD
    assert found["cumsum"] is Domain.HELD
    assert found["embedding"] is Domain.STREAM
    assert found["embedding_1"] is Domain.HELD


def test_an_embedding_of_derived_values_alone_is_coded():
    class Positions(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(9, 4)

        def forward(self, mask):
            return self.embed(mask.cumsum(-1))

    snn = snnconvert.convert(Positions().eval(), (torch.ones(2, 5, dtype=torch.long),))
    assert snn.report.passed


def test_masked_ids_are_still_ids():
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(9, 4)

        def forward(self, ids):
            return self.embed(ids.masked_fill(ids == 3, 0))

    traced = trace(Masked().eval(), (torch.randint(0, 9, (2, 5)),))
    assert list(content_indices(traced).values()) == ["held"]


def test_a_batch_without_a_dimension_of_its_own_cannot_be_folded():
    class Pairs(nn.Module):
        def forward(self, x):
            return x @ x.t()

    _, decided = domains(Pairs().eval(), (torch.randn(3, 4),))
    assert "no dimension of its own" in decided.streams.unfoldable
    snn = snnconvert.convert(Pairs().eval(), (torch.randn(3, 4),))
    assert snn.report.passed
    assert snn.conversion.step_by_step


def test_mixing_samples_is_found_by_running():
    class Mixed(nn.Module):
        def forward(self, x):
            return x + x.roll(1, 0)

    snn = snnconvert.convert(Mixed().eval(), (torch.randn(3, 4),))
    assert snn.conversion.step_by_step == "'roll' mixes the samples of a batch"
    assert snn.report.passed


def test_random_draws_are_named():
    class Noisy(nn.Module):
        def forward(self, x):
            return x + torch.randn_like(x)

    traced = trace(Noisy().eval(), (torch.randn(2, 3),))
    assert random_nodes(traced.graph) == ("randn_like",)


def test_merged_batches_fold():
    class Windows(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x):
            b, n, w = x.shape
            y = self.fc(x.reshape(b * n // 2, 2, w))
            return (y.softmax(1) * y).reshape(b, n, w)

    snn = snnconvert.convert(Windows().eval(), (torch.randn(2, 6, 4),))
    assert snn.report.passed
    assert snn.conversion.step_by_step == ""


class Nodes(nn.Module):
    def __init__(self):
        super().__init__()
        self.map = nn.Linear(4, 4)

    def forward(self, x, ids):
        return F.embedding(ids, self.map(x)).sum(1)


class Bags(nn.Module):
    def __init__(self):
        super().__init__()
        self.bag = nn.EmbeddingBag(11, 6, mode="sum")

    def forward(self, ids, weights):
        return self.bag(ids, per_sample_weights=weights)


class OfEmbeddings(nn.Module):
    """The table of the second embedding is computed from the first, where the stream starts."""

    def __init__(self):
        super().__init__()
        self.first, self.map = nn.Embedding(7, 4), nn.Linear(4, 4)

    def forward(self, ids, picked):
        table = self.map(self.first(ids)).flatten(0, 1)
        return F.embedding(picked, table).tanh()


STREAMED = {
    Nodes: lambda: (torch.randn(6, 4), torch.randint(0, 6, (6, 2))),
    Bags: lambda: (torch.randint(0, 11, (3, 4)), torch.randn(3, 4)),
    OfEmbeddings: lambda: (torch.randint(0, 7, (3, 5)), torch.randint(0, 15, (3, 2))),
}


@pytest.mark.parametrize("kind", STREAMED)
def test_an_embedding_with_a_stream_starts_none(kind):
    model, inputs = kind().eval(), STREAMED[kind]()
    snn = snnconvert.convert(model, inputs)
    assert snn.report.passed
    torch.testing.assert_close(snn.simulate(*inputs, time_steps=2)[-1], model(*inputs))


@pytest.mark.filterwarnings("ignore:Sparse CSR")
@pytest.mark.parametrize("layout", ["to_sparse_csr", "to_sparse_csc", "to_sparse"])
def test_a_fixed_graph_of_compressed_rows(layout):
    class Graph(nn.Module):
        def __init__(self):
            super().__init__()
            self.map = nn.Linear(4, 4)
            self.register_buffer("adjacency", getattr((torch.rand(5, 5) > 0.5).float(), layout)())

        def forward(self, x):
            return self.adjacency @ self.map(x)

    model, x = Graph().eval(), torch.randn(5, 4)
    snn = snnconvert.convert(model, (x,))
    assert snn.report.passed
    torch.testing.assert_close(snn.simulate(x)[-1], model(x))
    torch.testing.assert_close(copy.deepcopy(snn).simulate(x)[-1], model(x))
