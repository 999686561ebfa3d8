from __future__ import annotations

import torch

from snnconvert.ops.seeds import generator_of


def test_a_text_decides_the_numbers_in_every_process():
    drawn = [torch.rand(3, generator=generator_of("0 x 1")) for _ in range(2)]
    assert torch.equal(*drawn)
    assert generator_of("0 x 1").initial_seed() == 0xC37D45A9


def test_texts_that_differ_anywhere_draw_other_numbers():
    texts = [f"{seed} {name} {t}" for seed in (0, 1) for name in ("x", "input_ids") for t in (0, 1)]
    drawn = {tuple(torch.rand(3, generator=generator_of(text)).tolist()) for text in texts}
    assert len(drawn) == len(texts)
