"""A small timm ViT and a small timm ResNet, trained on Fashion-MNIST.

``python -m benchmarks.spiking.fashion_mnist`` trains both (about twelve minutes on two cores) and
writes their weights into the cache, ``~/.cache/snnconvert``. The data comes with Debian's package
``dataset-fashion-mnist``; other places are given with FASHION_MNIST=DIRECTORY.
"""

from __future__ import annotations

import argparse
import gzip
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from timm.models.resnet import BasicBlock, ResNet
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from tqdm import tqdm

CACHE = Path("~/.cache/snnconvert").expanduser()
DATA = Path(os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))
MEAN, STD = 0.2860, 0.3530
BATCH = 256


def vit() -> nn.Module:
    """49 tokens of 64 features, 4 blocks."""
    return VisionTransformer(
        img_size=28,
        patch_size=4,
        in_chans=1,
        embed_dim=64,
        depth=4,
        num_heads=4,
        mlp_ratio=2,
        num_classes=10,
    )


def resnet() -> nn.Module:
    """Four basic blocks of 32 to 128 channels behind a deep stem."""
    return ResNet(
        BasicBlock,
        [1, 1, 1, 1],
        in_chans=1,
        num_classes=10,
        channels=(32, 64, 128, 128),
        stem_width=16,
        stem_type="deep",
    )


MODELS: Mapping[str, tuple[Callable[[], nn.Module], int]] = {
    "vit": (vit, 16),
    "resnet": (resnet, 12),
}
"""The models, and for how many epochs they are trained."""


def data(split: str) -> tuple[Tensor, Tensor]:
    """Normalised images ``[N, 1, 28, 28]`` and classes of the split ``train`` or ``t10k``."""
    images, labels = (
        torch.frombuffer(
            bytearray(gzip.decompress((DATA / f"{split}-{name}-ubyte.gz").read_bytes())[skipped:]),
            dtype=torch.uint8,
        )
        for name, skipped in (("images-idx3", 16), ("labels-idx1", 8))
    )
    return (images.reshape(-1, 1, 28, 28).float() / 255 - MEAN) / STD, labels.long()


def trained(name: str) -> nn.Module:
    """Return a trained model in eval mode; it is trained where the cache does not hold it."""
    weights = CACHE / f"fashion_{name}.safetensors"
    if not weights.exists():
        train(name)
    model = MODELS[name][0]()
    model.load_state_dict(load_file(weights))
    return model.eval()


def train(name: str) -> None:
    """Train one model and write its weights, with the accuracy on the test images."""
    torch.manual_seed(0)
    make, epochs = MODELS[name]
    model = make().train()
    images, labels = data("train")
    steps = epochs * (len(images) // BATCH)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 2e-3, total_steps=steps, pct_start=0.1
    )
    with tqdm(total=steps, desc=name, disable=None) as bar:
        for _ in range(epochs):
            for batch in torch.randperm(len(images)).split(BATCH)[: len(images) // BATCH]:
                loss = F.cross_entropy(model(_moved(images[batch])), labels[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                bar.update()
    score = accuracy(model.eval())
    CACHE.mkdir(parents=True, exist_ok=True)
    path = CACHE / f"fashion_{name}.safetensors"
    save_file(model.state_dict(), path, metadata={"accuracy": f"{score:.4f}"})
    print(f"{name}: {score:.2%} of the test images, written to {path}")


def _moved(images: Tensor) -> Tensor:
    """Mirror half of the images and move all by up to two pixels."""
    images = torch.where(torch.rand(len(images), 1, 1, 1) < 0.5, images.flip(-1), images)
    padded = F.pad(images, (2, 2, 2, 2), value=-MEAN / STD)
    row, column = torch.randint(0, 5, (2,)).tolist()
    return padded[:, :, row : row + 28, column : column + 28]


@torch.no_grad()
def accuracy(model: nn.Module) -> float:
    """Return the share of test images that a model classifies rightly."""
    images, labels = data("t10k")
    right = [
        model(x).argmax(-1) == y for x, y in zip(images.split(500), labels.split(500), strict=True)
    ]
    return float(torch.cat(right).float().mean())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=list(MODELS), help="vit, resnet")
    for chosen in parser.parse_args().models:
        train(chosen)
