from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.attention.flex_attention import flex_attention

import snnconvert
from snnconvert.errors import SavedFileError


class Tagged(nn.Module):
    def forward(self, x):
        return {"logits": x.tanh(), "task": "classify"}


class Scored(nn.Module):
    def forward(self, q):
        return flex_attention(q, q, q.tanh(), score_mod=lambda s, b, h, i, j: s + (i - j) * 0.1)


@pytest.mark.parametrize(
    ("model", "x", "words"),
    [
        (Tagged(), torch.randn(2, 4), "an output is the text 'classify'"),
        (Scored(), torch.randn(2, 2, 8, 16), r"cannot write this model \(SerializeError: "),
    ],
)
def test_what_could_not_be_loaded_is_refused_and_no_file_is_left(tmp_path, model, x, words):
    snn = snnconvert.convert(model.eval(), (x,), verify=False)
    with pytest.raises(SavedFileError, match=words):
        snn.save(tmp_path / "a.snn")
    assert list(tmp_path.iterdir()) == []
