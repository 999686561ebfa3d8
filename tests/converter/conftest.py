"""Small networks that each hold something that converters get wrong."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from snnconvert.converter.building.install import install
from snnconvert.converter.building.rewrite import rewrite
from snnconvert.converter.building.tree import build_tree
from snnconvert.converter.running.converted import ConvertedModule


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


class Attention(nn.Module):
    """Products of streams, reshapes, a softmax."""

    def __init__(self, width: int = 8, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        b, n, w = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, w // self.heads).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1) * 0.5).softmax(-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(b, n, w))


class TinyViT(nn.Module):
    """A class token, positional embeddings, `x + constant`, pre-norm blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(1, 8, 2, 2)
        self.cls = nn.Parameter(torch.randn(1, 1, 8))
        self.pos = nn.Parameter(torch.randn(1, 5, 8))
        self.norm1, self.norm2 = nn.LayerNorm(8), nn.LayerNorm(8)
        self.attn = Attention()
        self.fc1, self.act, self.fc2 = nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], 1) + self.pos
        x = x + self.attn(self.norm1(x))
        x = x + self.fc2(self.act(self.fc1(self.norm2(x))))
        return self.head(x[:, 0])


class TinyCNN(nn.Module):
    """BatchNorm, in-place ReLU, max pooling, a shortcut, a module that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.act = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(4)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(4, 3)
        for bn in (self.bn1, self.bn2):
            nn.init.normal_(bn.weight, 1.0, 0.2)
            nn.init.normal_(bn.bias)
            nn.init.normal_(bn.running_mean)
            nn.init.uniform_(bn.running_var, 0.5, 2.0)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.bn1(self.conv1(x)))
        x = self.pool(self.act(self.bn2(self.conv2(x)) + x))
        x = self.act(self.bn2(self.conv2(x)))
        return self.head(x.mean((2, 3)))


class TinyLM(nn.Module):
    """Held ids and mask, tied weights, positions from a mask, a dict of outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        self.position = nn.Embedding(8, 8)
        self.attn = Attention()
        self.norm = nn.LayerNorm(8)
        self.lm_head = nn.Linear(8, 11, bias=False)
        self.lm_head.weight = self.embed.weight

    def forward(self, ids: Tensor, mask: Tensor, scale: float = 1.0) -> dict[str, Tensor | None]:
        x = self.embed(ids) + self.position(mask.cumsum(-1) * mask)
        x = x * mask[..., None].to(x.dtype)
        hidden = self.norm(x + self.attn(x)) * scale
        return {"logits": self.lm_head(hidden), "none": None, "hidden": hidden}


class Gated(nn.Module):
    """A product of streams, a constant that is subtracted from, several inputs and outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
        self.register_buffer("shift", torch.randn(4), persistent=False)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = F.silu(self.a(x)) * self.b(y)
        return h, 1 - h + self.shift, (h > 0)


NETWORKS = {
    "vit": (TinyViT, lambda: (torch.randn(2, 1, 4, 4),)),
    "cnn": (TinyCNN, lambda: (torch.randn(2, 1, 8, 8),)),
    "lm": (
        TinyLM,
        lambda: {
            "ids": torch.randint(0, 11, (2, 5)),
            "mask": torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]),
        },
    ),
    "gated": (Gated, lambda: (torch.randn(2, 4), torch.randn(2, 4))),
}


@pytest.fixture(params=sorted(NETWORKS))
def network(request):
    build, inputs = NETWORKS[request.param]
    return build().eval(), inputs()


def plain_form(snn: ConvertedModule) -> ConvertedModule:
    """The conversion before telescoping: every operator on increments."""
    conversion = snn.conversion
    sited = conversion.sited
    tree = build_tree(sited.traced)
    replacements = install(tree, sited.decisions, sited.encoded)
    graph = rewrite(sited, replacements, {})
    return ConvertedModule(conversion, tree, graph)
