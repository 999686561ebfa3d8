"""The default dtype of a check: of this thread alone, and as torch's own would be."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.converter.graph.default_dtype import default_dtype
from snnconvert.converter.graph.dtypes import literal_dtypes

WIDE = literal_dtypes({torch.float32: torch.float64})
IDS = torch.arange(6).reshape(2, 3)
MASK = IDS > 2

COMPUTED = {
    "arange": lambda: torch.arange(3) + 0.1,
    "float arange": lambda: torch.arange(0, 1, 0.1),
    "linspace": lambda: torch.linspace(0, 1, 7),
    "zeros": lambda: torch.zeros(2) + 0.1,
    "full": lambda: torch.full((2,), 0.1),
    "eye": lambda: torch.eye(3),
    "a number that float32 does not hold": lambda: torch.full((2,), torch.finfo(torch.float64).min),
    "division": lambda: IDS / 3,
    "reciprocal": lambda: 1 / (IDS + 1),
    "product": lambda: IDS * 0.1,
    "product of truth values": lambda: MASK * 0.1,
    "rsub": lambda: 1.0 - IDS * 0.3,
    "power": lambda: 10000.0 ** (IDS / 6),
    "negative power": lambda: torch.pow(IDS + 1.0, -0.5),
    "unary": lambda: torch.sin(IDS) + torch.exp(-IDS) + torch.sqrt(IDS) + torch.rsqrt(IDS + 1),
    "choice": lambda: torch.where(MASK, 0.1, -0.3),
    "choice of integers": lambda: torch.where(MASK, IDS, 0.1),
    "mixed choice": lambda: torch.where(MASK, 0.1, IDS),
    "softmax": lambda: torch.softmax(IDS / 7, -1),
    "integers": lambda: IDS // 2 + 1,
    "truth values": lambda: IDS > 1,
    "in place": lambda: torch.zeros(2, 3).add_(IDS).mul_(0.1),
    "mask": lambda: torch.zeros(2, 3).masked_fill(MASK, 0.1),
    "one hot": lambda: nn.functional.one_hot(IDS) * 0.1,
}


@pytest.mark.parametrize("name", COMPUTED)
def test_numbers_are_those_of_torchs_own_default(name):
    with default_dtype(WIDE):
        made = COMPUTED[name]()
    try:
        torch.set_default_dtype(torch.float64)
        wanted = COMPUTED[name]()
    finally:
        torch.set_default_dtype(torch.float32)
    assert made.dtype is wanted.dtype
    torch.testing.assert_close(made, wanted, rtol=1e-15, atol=1e-15)


def test_explicit_dtypes_and_other_tensors_are_left():
    with default_dtype(WIDE):
        assert torch.zeros(2, dtype=torch.float16).dtype is torch.float16
        assert (torch.ones(2, dtype=torch.float16) * 0.1).dtype is torch.float16
        assert torch.zeros(2, dtype=torch.int32).dtype is torch.int32
    with default_dtype({}):
        assert torch.zeros(2).dtype is torch.float32


def test_other_threads_see_the_default_as_it_was():
    found = set()

    def look():
        x = torch.arange(3) / 2
        found.update({x.dtype, torch.zeros(1).dtype, torch.get_default_dtype()})
        found.add(torch.backends.mha.get_fastpath_enabled())

    class Looking(nn.Module):
        def __init__(self):
            super().__init__()
            self.map = nn.Linear(4, 4)

        def forward(self, x):
            if not torch.compiler.is_compiling():
                thread = threading.Thread(target=look)
                thread.start()
                thread.join()
            return self.map(x).tanh() + torch.arange(4) / 3

    report = snnconvert.convert(Looking().eval(), (torch.randn(2, 4),)).report
    assert report.passed
    assert found == {torch.float32, True}


def test_padded_transformers_are_not_taken_by_the_fast_path():
    class Padded(nn.Module):
        def __init__(self):
            super().__init__()
            layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
            self.encoder = nn.TransformerEncoder(layer, 2)

        def forward(self, x, padding):
            return self.encoder(x, src_key_padding_mask=padding)

    padding = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    snn = snnconvert.convert(Padded().eval(), (torch.randn(2, 5, 8), padding))
    assert snn.report.passed
    assert snn.report.source_rel_error < 1e-9
    (note,) = snn.report.notes  # who compares without gradients sees zeros there
    assert "fast path (from 'encoder')" in note
    unpadded = snnconvert.convert(Padded().eval(), (torch.randn(2, 5, 8), padding[:1].repeat(2, 1)))
    assert not unpadded.report.notes


def test_it_ends_with_an_error_and_does_nothing_without_another_dtype():
    with pytest.raises(RuntimeError), default_dtype({torch.float32: torch.float64}):
        assert (torch.arange(2) / 2).dtype is torch.float64
        raise RuntimeError
    assert (torch.arange(2) / 2).dtype is torch.float32
    with default_dtype({torch.float16: torch.float64}):
        assert (torch.arange(2) / 2).dtype is torch.float32
