"""Silero's voice activity detector, a recurrent network whose state is an input and an output."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.shipped import Shipped

SILERO_VAD = Shipped("silero-vad==6.2.3", "silero_vad/data/silero_vad.jit")
SPEECH = 0.5
"""The probability above which a chunk is speech."""

Call = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
"""A chunk and the state in; the probability of speech and the new state out."""


class SileroVAD(nn.Module):
    """Silero's voice activity detector at 16 kHz: one chunk of audio and the state in, both out.

    ``x [B, 576]`` is a chunk: the last 64 samples of the chunk before it and 512 new ones, in
    [-1, 1]. ``h, c [B, 128]`` are the LSTM cell's state after the chunk before it (zeros at the
    start). Returns the probability of speech ``[B]`` and the new ``h`` and ``c``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stft = nn.Conv1d(1, 258, 256, 128, bias=False)  # cosines, then sines
        self.encoder = nn.Sequential(
            *(nn.Conv1d(129, 128, 3, 1, 1), nn.ReLU()),
            *(nn.Conv1d(128, 64, 3, 2, 1), nn.ReLU()),
            *(nn.Conv1d(64, 64, 3, 2, 1), nn.ReLU()),
            *(nn.Conv1d(64, 128, 3, 1, 1), nn.ReLU()),
        )
        self.rnn = nn.LSTMCell(128, 128)
        self.decoder = nn.Conv1d(128, 1, 1)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        real, imaginary = self.stft(F.pad(x, (0, 64), mode="reflect").unsqueeze(1)).chunk(2, 1)
        features = self.encoder((real.square() + imaginary.square()).sqrt())
        h, c = self.rnn(features.squeeze(-1), (h, c))
        return self.decoder(h.relu().unsqueeze(-1)).sigmoid().flatten(), h, c


def silero_vad() -> tuple[nn.Module, tuple[Tensor, Tensor, Tensor]]:
    """The detector with example inputs: two chunks of noise, and a state."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # TorchScript is deprecated
        scripted = torch.jit.load(SILERO_VAD.path, map_location="cpu")
    weights = scripted._model.state_dict()
    model = SileroVAD()
    model.load_state_dict({name: weights[_in_silero(name)] for name in model.state_dict()})
    generator = torch.Generator().manual_seed(0)
    x, h, c = (0.3 * torch.randn(2, n, generator=generator) for n in (576, 128, 128))
    return model.eval(), (x, h, c)


def _in_silero(name: str) -> str:
    module, _, tensor = name.rpartition(".")
    if module == "stft":
        return "stft.forward_basis_buffer"
    if module.startswith("encoder."):
        return f"encoder.{int(module.split('.')[1]) // 2}.reparam_conv.{tensor}"
    return f"decoder.rnn.{tensor}" if module == "rnn" else f"decoder.decoder.2.{tensor}"


def streamed(call: Call, chunks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Carry the state along a stream, from rest.

    Args:
        call: the detector, or a conversion of it.
        chunks: ``[N, B, 576]``.

    Returns:
        The probabilities ``[N, B]``, and ``h`` and ``c`` after each chunk, ``[N, B, 128]``.
    """
    h, c = torch.zeros(2, chunks.shape[1], 128)
    found = []
    for x in chunks:
        probability, h, c = call(x, h, c)
        found.append((probability, h, c))
    p, hs, cs = map(torch.stack, zip(*found, strict=True))
    return p, hs, cs
