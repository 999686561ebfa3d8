"""A small vision transformer for 8x8 grey digits, trained by ``benchmarks/train_digits_vit.py``.

It ships with its weights and some digits, so that a conversion can be tried without a download.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("digits_vit.safetensors")
DIGITS = Path(__file__).with_name("digits.safetensors")


class PatchEmbedding(nn.Module):
    """Cuts an image into patches and maps each to a token: ``[B, 1, H, W] -> [B, N, C]``."""

    def __init__(self, patch: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(1, width, patch, stride=patch)

    def forward(self, image: Tensor) -> Tensor:
        return self.proj(image).flatten(2).transpose(1, 2)


class Attention(nn.Module):
    """Multi-head self-attention over tokens ``[B, N, C]``."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        out = F.scaled_dot_product_attention(q, k, v)
        return self.proj(out.transpose(1, 2).flatten(2))


class MLP(nn.Module):
    """Two linear maps with a GELU between them."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(x)))


class Block(nn.Module):
    """A pre-norm transformer block: ``x + attn(norm1(x))``, then ``x + mlp(norm2(x))``."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = MLP(width, 2 * width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class DigitsViT(nn.Module):
    """Class token, positional embedding, four blocks, head: ``[B, 1, 8, 8] -> [B, 10]``."""

    def __init__(self, width: int = 64, depth: int = 4, heads: int = 4, patch: int = 2) -> None:
        super().__init__()
        tokens = (8 // patch) ** 2 + 1
        self.patch_embed = PatchEmbedding(patch, width)
        self.cls_token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, tokens, width))
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = self.patch_embed(image)
        x = torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), dim=1) + self.pos_embed
        return self.head(self.norm(self.blocks(x))[:, 0])


@dataclass(frozen=True)
class Digits:
    """Digits that ship with the model; images are float32 ``[B, 1, 8, 8]`` in -1..1.

    Arguments:
        images: 64 held-out images.
        labels: their classes, int64 ``[64]``.
        calibration: 256 training images, for thresholds.
    """

    images: Tensor
    labels: Tensor
    calibration: Tensor


def normalise(pixels: Tensor) -> Tensor:
    """Grey levels 0..16 as ``[B, 8, 8]`` to the model's input ``[B, 1, 8, 8]`` in -1..1."""
    return pixels.float().unsqueeze(1) / 8 - 1


def load_model() -> DigitsViT:
    """The trained model, in eval mode."""
    model = DigitsViT()
    model.load_state_dict(load_file(WEIGHTS))
    return model.eval()


def load_digits() -> Digits:
    """The held-out and the calibration digits."""
    data = load_file(DIGITS)
    return Digits(
        images=normalise(data["images"]),
        labels=data["labels"].long(),
        calibration=normalise(data["calibration"]),
    )
