"""Models that use a corner of PyTorch each, written as people write them."""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations


class Remembers(nn.Module):
    """One block called twice, with what it saw the first time kept on the module."""

    def __init__(self):
        super().__init__()
        self.linear, self.seen = nn.Linear(6, 6), None

    def block(self, x):
        y = self.linear(x) if self.seen is None else self.linear(x) + self.seen
        self.seen = y
        return y

    def forward(self, x):
        self.seen = None
        return self.block(self.block(x).tanh())


class EinsumAttention(nn.Module):
    """Causal attention in which every product is an einsum over bare parameters."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = (nn.Parameter(torch.randn(8, 2, 4) / 3) for _ in range(3))
        self.out = nn.Parameter(torch.randn(2, 4, 8) / 3)
        self.register_buffer("mask", torch.ones(5, 5, dtype=torch.bool).tril())

    def forward(self, x):
        q, k, v = (torch.einsum("bld,dhe->bhle", x, w) for w in (self.q, self.k, self.v))
        scores = torch.einsum("bhle,bhme->bhlm", q, k).masked_fill(~self.mask, float("-inf"))
        return torch.einsum("bhlm,bhme,hed->bld", scores.softmax(-1), v, self.out)


class FourierMixing(nn.Module):
    """FNet's mixing over tokens and features, and a global filter of complex weights."""

    def __init__(self):
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(8), nn.Linear(8, 8)
        self.filter = nn.Parameter(torch.randn(3, 8, dtype=torch.cfloat))

    def forward(self, x):
        x = x + torch.fft.fft2(self.norm(x)).real
        return self.linear(x) + torch.fft.irfft(torch.fft.rfft(x, dim=1) * self.filter, n=5, dim=1)


class LinearAttention(nn.Module):
    """Causal linear attention: cumulative sums over tokens, which are not time steps."""

    def forward(self, q, k, v):
        q, k = F.elu(q) + 1, F.elu(k) + 1
        kv = (k.unsqueeze(-1) * v.unsqueeze(-2)).cumsum(1)
        return (q.unsqueeze(-1) * kv).sum(-2) / (q * k.cumsum(1)).sum(-1, keepdim=True)


class Scatters(nn.Module):
    """Sums and maxima by segment, and back."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.register_buffer("segment", torch.tensor([0, 2, 2, 1, 0, 1]))

    def forward(self, x):
        index = self.segment.view(1, 6, 1).expand(x.shape[0], 6, 4)
        total = torch.zeros(x.shape[0], 3, 4).scatter_add(1, index, self.linear(x))
        largest = torch.zeros_like(total).scatter_reduce(1, index, x, "amax", include_self=False)
        return total.gather(1, index) + largest.index_select(1, self.segment)


class MessagePassing(nn.Module):
    """A graph layer whose edges are an input."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x, edges):
        messages = self.linear(x[:, edges[0]]).relu()
        return torch.zeros_like(x).index_add(1, edges[1], messages)


class SpatialTransformer(nn.Module):
    """An image sampled where the image itself says."""

    def __init__(self):
        super().__init__()
        self.where = nn.Linear(64, 6)

    def forward(self, x):
        grid = F.affine_grid(self.where(x.flatten(1)).view(-1, 2, 3), x.shape, align_corners=False)
        return F.grid_sample(x, grid, align_corners=False)


class Volumes(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Conv3d(1, 4, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose3d(4, 2, 3, stride=2, padding=1, output_padding=1)

    def forward(self, x):
        return self.up(F.instance_norm(self.down(x)))


class SuperResolution(nn.Module):
    """Reflected borders, PReLU, pixel shuffle, and interpolation by a factor."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, padding=1, padding_mode="reflect")
        self.act, self.shuffle = nn.PReLU(8), nn.PixelShuffle(2)

    def forward(self, x):
        cubic = F.interpolate(x, scale_factor=2, mode="bicubic", align_corners=False)
        return self.shuffle(self.act(self.conv(x))) + cubic


class NestedOutputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x):
        h = self.linear(x)
        heads = {"logits": h, "extra": [h.sigmoid(), (h.exp(), None)]}
        return {"heads": heads, "count": 3, "constant": torch.ones(2)}


def parametrized():
    """Weights that are computed from others."""
    return nn.Sequential(
        parametrizations.weight_norm(nn.Conv1d(2, 4, 3)),
        nn.Flatten(),
        parametrizations.spectral_norm(nn.Linear(24, 5)),
        parametrizations.orthogonal(nn.Linear(5, 5)),
    )


class KeywordsOnly(nn.Module):
    """Keyword inputs, a number among them, and a buffer that no state dict has."""

    def __init__(self):
        super().__init__()
        self.register_buffer("table", torch.randn(4, 4))
        self.register_buffer("offset", torch.randn(4), persistent=False)

    def forward(self, *, query, context=None, scale=2.0):
        return (query @ self.table + self.offset) @ context.transpose(1, 2) * scale


class MaskedPooling(nn.Module):
    """A mask token put in, and padding left out of a mean, by a mask that is an input."""

    def __init__(self):
        super().__init__()
        self.linear, self.token = nn.Linear(4, 4), nn.Parameter(torch.randn(4))

    def forward(self, x, mask):
        hidden = mask.unsqueeze(-1)
        h = self.linear(torch.where(hidden, self.token, x)).masked_fill(hidden, 0.0)
        return h.sum(1) / (~mask).sum(1, keepdim=True).clamp(min=1)


class WritesInPlace(nn.Module):
    """Slices that are written, some of them through views, and values where a test holds."""

    def forward(self, x):
        y = x.clone()
        y[:, 1] += 3
        y[:, :2] *= 2
        y[:, 0, 1:] = y[:, 2, 1:].relu_()
        y[..., -1].zero_()
        y[y < -1] = -1.0
        return y.index_put((torch.arange(x.shape[0]),), torch.ones_like(y), accumulate=True)


class BagsAndPairs(nn.Module):
    def __init__(self):
        super().__init__()
        self.bag, self.pair = nn.EmbeddingBag(10, 4, mode="mean"), nn.Bilinear(4, 3, 2)

    def forward(self, ids, x):
        return self.pair(self.bag(ids), x)


class Patches(nn.Module):
    """Overlapping patches taken out and put back."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(9, 9)

    def forward(self, x):
        patches = F.unfold(x, 3, padding=1).transpose(1, 2)
        return F.fold(self.linear(patches).transpose(1, 2), x.shape[-2:], 3, padding=1)


class Siamese(nn.Module):
    """One tower, called twice, on a pair of inputs in a tuple."""

    def __init__(self):
        super().__init__()
        self.tower = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(inplace=True))

    def forward(self, pair):
        a, b = map(self.tower, pair)
        return F.cosine_similarity(a, b), F.pairwise_distance(a, b.flip(1))


class Quantizer(nn.Module):
    """A codebook's nearest entry, with integers and truth values among the outputs."""

    def __init__(self):
        super().__init__()
        self.codebook = nn.Parameter(torch.randn(7, 4))

    def forward(self, x):
        code = torch.cdist(x, self.codebook.expand(x.shape[0], -1, -1)).argmin(-1)
        quantized = F.embedding(code, self.codebook)
        return x + (quantized - x).detach(), F.one_hot(code, 7).float().mean(1), code, x > 0


@dataclasses.dataclass
class Answer:
    """An output class of the user's own."""

    y: Tensor
    z: Tensor


class Answers(nn.Module):
    def forward(self, x):
        return Answer(x.relu(), x * 2)


CORNERS = {
    "state that a call leaves for the next": (Remembers(), (torch.randn(2, 6),)),
    "einsum attention": (EinsumAttention(), (torch.randn(2, 5, 8),)),
    "Fourier mixing": (FourierMixing(), (torch.randn(2, 5, 8),)),
    "cumulative sums over tokens": (LinearAttention(), tuple(torch.randn(3, 2, 5, 4))),
    "scatter and gather": (Scatters(), (torch.randn(2, 6, 4),)),
    "edges as an input": (
        MessagePassing(),
        (torch.randn(2, 5, 4), torch.tensor([[0, 1, 2, 3], [1, 2, 3, 4]])),
    ),
    "grid_sample": (SpatialTransformer(), (torch.randn(2, 1, 8, 8),)),
    "volumes": (Volumes(), (torch.randn(2, 1, 4, 4, 4),)),
    "super-resolution": (SuperResolution(), (torch.randn(2, 1, 8, 8),)),
    "nested outputs": (NestedOutputs(), (torch.randn(2, 4),)),
    "parametrized weights": (parametrized(), (torch.randn(2, 2, 8),)),
    "keywords only": (
        KeywordsOnly(),
        {"query": torch.randn(2, 3, 4), "context": torch.randn(2, 5, 4), "scale": 0.5},
    ),
    "a mask as an input": (MaskedPooling(), (torch.randn(2, 5, 4), torch.rand(2, 5) > 0.6)),
    "slices written in place": (WritesInPlace(), (torch.randn(2, 3, 4),)),
    "bags and pairs": (BagsAndPairs(), (torch.randint(0, 10, (2, 5)), torch.randn(2, 3))),
    "unfold and fold": (Patches(), (torch.randn(2, 1, 6, 6),)),
    "a tower called twice": (Siamese(), ((torch.randn(3, 4), torch.randn(3, 4)),)),
    "a codebook": (Quantizer(), (torch.randn(2, 5, 4),)),
}
