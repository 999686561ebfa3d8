from __future__ import annotations

import torch

from snnconvert.ops.seeds import generator_of


def test_a_text_decides_the_numbers_in_every_process():
    drawn = [torch.rand(3, generator=generator_of(text)) for text in ("0 x 1", "0 x 1", "1 x 1")]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert generator_of("0 x 1").initial_seed() == 0x3120782030
