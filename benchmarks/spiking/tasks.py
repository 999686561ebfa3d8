"""What spiking conversions are judged on: models, calibration data, held-out data.

Thresholds see training data alone; what is measured was not seen by them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.checkpoints import data, models
from benchmarks.spiking import fashion_mnist

Inputs = Any
"""One batch of a model's inputs: a tuple of positional or a dict of keyword inputs."""


@dataclass(frozen=True)
class SpikingTask:
    """A trained network with the data to convert it on and the data to judge it on.

    Attributes:
        model: the source, in eval mode.
        example: inputs to trace it on.
        calibration: batches of training data.
        batches: batches of held-out data, each with its right answers ``[B]`` or ``[B, L]``.
        described: what the held-out data is.
        logits: logits ``[B, classes]`` or ``[B, L, classes]`` of one of the source's outputs.
        language: whether answers are next tokens, and the score is perplexity.
    """

    model: nn.Module
    example: Inputs
    calibration: list[Inputs]
    batches: list[tuple[Inputs, Tensor]]
    described: str
    logits: Callable[[Any], Tensor] = lambda y: y
    language: bool = False


def mnist_cnn(limit: int | None = None) -> SpikingTask:
    """The first 256 of 5,000 shuffled digits calibrate, the others judge."""
    images, labels = data.mnist(5000)
    return _images(
        models.mnist_cnn(), images[:256], images[256:], labels[256:], "MNIST", 500, limit
    )


def fashion(name: str) -> Callable[[int | None], SpikingTask]:
    """A network trained on Fashion-MNIST, judged on its test images."""

    def task(limit: int | None = None) -> SpikingTask:
        training, _ = fashion_mnist.data("train")
        images, labels = fashion_mnist.data("t10k")
        model = fashion_mnist.trained(name)
        return _images(model, training[:512], images, labels, "Fashion-MNIST", 250, limit)

    return task


def _images(
    model: nn.Module,
    calibration: Tensor,
    images: Tensor,
    labels: Tensor,
    name: str,
    batch: int,
    limit: int | None,
) -> SpikingTask:
    images, labels = images[:limit], labels[:limit]
    parts = zip(images.split(batch), labels.split(batch), strict=True)
    return SpikingTask(
        model,
        (calibration[:2],),
        [(x,) for x in calibration.split(64)],
        [((x,), y) for x, y in parts],
        f"{len(images)} {name} images",
    )


_CALIBRATION_PHOTOGRAPHS = (
    ("scikit-learn", "sklearn/datasets/images/china.jpg"),
    ("scikit-learn", "sklearn/datasets/images/flower.jpg"),
    ("matplotlib", "matplotlib/mpl-data/sample_data/grace_hopper.jpg"),
    ("scikit-image", "skimage/data/hubble_deep_field.jpg"),
    ("scikit-image", "skimage/data/ihc.png"),
    ("scikit-image", "skimage/data/retina.jpg"),
)
_PHOTOGRAPHS = tuple(
    ("scikit-image", f"skimage/data/{name}")
    for name in ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")
)
_CROPS, _CALIBRATION_CROPS = 40, 12


def efficientnet_lite0(limit: int | None = None) -> SpikingTask:
    """20 labelled images, and 200 crops of photographs of which no class is known (label -1)."""
    from timm.data import create_transform, resolve_model_data_config

    model = models.efficientnet_lite0()
    transform = create_transform(**resolve_model_data_config(model))
    images, labels = data.imagenet(transform, 20)
    crops = _crops(_PHOTOGRAPHS, _CROPS, transform)
    images = torch.cat([images, crops])
    labels = torch.cat([labels, torch.full((len(crops),), -1)])
    calibration = _crops(_CALIBRATION_PHOTOGRAPHS, _CALIBRATION_CROPS, transform)
    order = torch.randperm(len(calibration), generator=torch.Generator().manual_seed(0))
    task = _images(model, calibration[order], images, labels, "ImageNet", 10, limit)
    count = len(images[:limit])
    described = f"{min(20, count)} ImageNet images, {max(0, count - 20)} crops of photographs"
    return SpikingTask(**{**vars(task), "described": described})


def _crops(
    photographs: Iterable[tuple[str, str]], count: int, transform: Callable[[Any], Tensor]
) -> Tensor:
    """Crops of 35 % to 100 % of each photograph's shorter side, half of them mirrored."""
    from PIL import Image, ImageOps

    generator = torch.Generator().manual_seed(0)
    crops = []
    for package, file in photographs:
        path = Path(str(metadata.distribution(package).locate_file(file)))
        image = Image.open(path).convert("RGB")
        for _ in range(count):
            share, x, y, mirrored = torch.rand(4, generator=generator).tolist()
            side = int(min(image.size) * (0.35 + 0.65 * share))
            left, top = int(x * (image.width - side)), int(y * (image.height - side))
            crop = image.crop((left, top, left + side, top + side))
            crops.append(transform(ImageOps.mirror(crop) if mirrored < 0.5 else crop))
    return torch.stack(crops)


class Probed(nn.Module):
    """A sentence encoder, the mean of its tokens, and a linear probe on it."""

    def __init__(self, encoder: nn.Module, classes: int, width: int) -> None:
        super().__init__()
        self.encoder, self.probe = encoder, nn.Linear(width, classes)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.probe(self.pooled(input_ids, attention_mask))

    def pooled(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Mean of the tokens that are not padding, ``[B, features]``."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask)[0]
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * mask).sum(1) / mask.sum(1)


_PROBE_CACHE = fashion_mnist.CACHE / "minilm_probe.pt"
_TRAINING_DOCUMENTS, _CALIBRATION_DOCUMENTS = 3000, 128


def minilm(limit: int | None = None) -> SpikingTask:
    """MiniLM with a logistic regression on 3,000 training documents, on the R8 test set."""
    tokenize = models.tokenizer(models.MINILM.path)
    training, test = data.reuters("train"), data.reuters("test")[:limit]
    classes = sorted({name for _, name in training})

    def inputs(documents: list[tuple[str, str]]) -> dict[str, Tensor]:
        form = {"padding": "max_length", "truncation": True, "max_length": 64}
        encoded = tokenize([text for text, _ in documents], return_tensors="pt", **form)
        return {name: encoded[name] for name in ("input_ids", "attention_mask")}

    model = Probed(models.hugging_face(models.MINILM), len(classes), 384).eval()
    model.probe.load_state_dict(_probe(model, training[:_TRAINING_DOCUMENTS], classes, inputs))
    calibration = inputs(training[:_CALIBRATION_DOCUMENTS])
    given = inputs(test)
    labels = torch.tensor([classes.index(name) for _, name in test])
    return SpikingTask(
        model,
        {name: x[:2] for name, x in calibration.items()},
        _batches(calibration, 16),
        list(zip(_batches(given, 32), labels.split(32), strict=True)),
        f"{len(test)} Reuters R8 documents",
    )


@torch.no_grad()
def _probe(
    model: Probed,
    training: list[tuple[str, str]],
    classes: list[str],
    inputs: Callable[[list[tuple[str, str]]], dict[str, Tensor]],
) -> dict[str, Tensor]:
    if _PROBE_CACHE.exists():
        found: dict[str, Tensor] = torch.load(_PROBE_CACHE, weights_only=True)
        return found
    from sklearn.linear_model import LogisticRegression

    features = torch.cat([model.pooled(**part) for part in _batches(inputs(training), 50)])
    labels = [classes.index(name) for _, name in training]
    fitted = LogisticRegression(max_iter=2000, C=10.0).fit(features.numpy(), labels)
    state = {
        "weight": torch.tensor(fitted.coef_, dtype=torch.float32),
        "bias": torch.tensor(fitted.intercept_, dtype=torch.float32),
    }
    _PROBE_CACHE.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, _PROBE_CACHE)
    return state


_WINDOW = 128
_JUDGED = ("california_housing", "twenty_newsgroups", "lfw", "kddcup99", "rcv1")
_CALIBRATING = ("breast_cancer", "diabetes", "wine_data", "linnerud", "covtype", "iris")


def smollm2(limit: int | None = None) -> SpikingTask:
    """Next tokens of descriptions of data sets, which come with scikit-learn."""
    tokenize = models.tokenizer(models.SMOLLM2.path)

    def windows(names: Iterable[str]) -> Tensor:
        package = metadata.distribution("scikit-learn")
        files = [Path(str(package.locate_file(f"sklearn/datasets/descr/{n}.rst"))) for n in names]
        text = "\n\n".join(file.read_text(encoding="utf8") for file in files)
        ids = tokenize(text, return_tensors="pt")["input_ids"][0]
        return ids[: len(ids) // _WINDOW * _WINDOW].reshape(-1, _WINDOW)

    ids, calibration = windows(_JUDGED)[:limit], windows(_CALIBRATING)
    constants = {"use_cache": False}
    return SpikingTask(
        models.hugging_face(models.SMOLLM2),
        {"input_ids": calibration[:2], **constants},
        [{"input_ids": part, **constants} for part in calibration[:24].split(4)],
        [({"input_ids": part, **constants}, part[:, 1:]) for part in ids.split(2)],
        f"{ids[:, 1:].numel()} next tokens of English text",
        lambda y: y["logits"][:, :-1] if y["logits"].dim() == 3 else y["logits"][:, :, :-1],
        language=True,
    )


def _batches(given: Mapping[str, Tensor], batch: int) -> list[dict[str, Tensor]]:
    count = len(next(iter(given.values())))
    return [
        {name: x[start : start + batch] for name, x in given.items()}
        for start in range(0, count, batch)
    ]


TASKS: Mapping[str, Callable[[int | None], SpikingTask]] = {
    "minilm": minilm,
    "fashion-vit": fashion("vit"),
    "fashion-resnet": fashion("resnet"),
    "efficientnet-lite0": efficientnet_lite0,
    "mnist-cnn": mnist_cnn,
    "smollm2": smollm2,
}
