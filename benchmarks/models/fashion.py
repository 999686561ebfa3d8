"""A small timm ViT and a small timm ResNet, trained on Fashion-MNIST.

``python -m benchmarks.models.fashion`` trains both (about twelve minutes on two cores) and
keeps their weights.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from timm.models.resnet import BasicBlock, ResNet
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from tqdm import tqdm

from benchmarks.data.images import FASHION_MEAN, FASHION_STD, fashion_mnist
from benchmarks.kept import kept_tensors

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


def trained(name: str) -> nn.Module:
    """Return a trained model in eval mode; it is trained where its weights were not kept."""
    model = MODELS[name][0]()
    model.load_state_dict(kept_tensors(f"fashion_{name}", lambda: train(name)))
    return model.eval()


def train(name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Train one model; return its weights, and the accuracy on the test images."""
    torch.manual_seed(0)
    make, epochs = MODELS[name]
    model = make().train()
    images, labels = fashion_mnist("train")
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
    print(f"{name}: {score:.2%} of the test images")
    return model.state_dict(), {"accuracy": f"{score:.4f}"}


def _moved(images: Tensor) -> Tensor:
    """Mirror half of the images and move all by up to two pixels."""
    images = torch.where(torch.rand(len(images), 1, 1, 1) < 0.5, images.flip(-1), images)
    padded = F.pad(images, (2, 2, 2, 2), value=-FASHION_MEAN / FASHION_STD)
    row, column = torch.randint(0, 5, (2,)).tolist()
    return padded[:, :, row : row + 28, column : column + 28]


@torch.no_grad()
def accuracy(model: nn.Module) -> float:
    """Return the share of test images that a model classifies rightly."""
    images, labels = fashion_mnist("t10k")
    right = [
        model(x).argmax(-1) == y for x, y in zip(images.split(500), labels.split(500), strict=True)
    ]
    return float(torch.cat(right).float().mean())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=list(MODELS), help="vit, resnet")
    for chosen in parser.parse_args().models:
        trained(chosen)
