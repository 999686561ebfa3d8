"""What spiking conversions are judged on: models, calibration data, held-out data.

Thresholds see training data alone; what is measured was not seen by them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import models
from benchmarks.data import images as data
from benchmarks.data.batches import batches
from benchmarks.data.documents import Documents, classes_of, descriptions, labels_of, reuters
from benchmarks.kept import kept_tensors
from benchmarks.models import fashion
from benchmarks.models.efficientnet import transform_of
from benchmarks.models.language import MINILM_WIDTH, encoded, mean_of_tokens

Inputs = Any
"""One batch of a model's inputs: a tuple of positional or a dict of keyword inputs."""


@dataclass(frozen=True)
class SpikingTask:
    """A trained network with the data to convert it on and the data to judge it on.

    Attributes:
        model: the source, in eval mode.
        example: inputs to trace it on.
        calibration: batches of training data.
        tuning: other batches of training data, to tune on.
        batches: batches of held-out data, each with its right answers ``[B]`` or ``[B, L]``.
        described: what the held-out data is.
        logits: logits ``[B, classes]`` or ``[B, L, classes]`` of one of the source's outputs.
        language: whether answers are next tokens, and the score is perplexity.
    """

    model: nn.Module
    example: Inputs
    calibration: list[Inputs]
    tuning: list[Inputs]
    batches: list[tuple[Inputs, Tensor]]
    described: str
    logits: Callable[[Any], Tensor] = lambda y: y
    language: bool = False


def mnist_cnn(limit: int | None = None) -> SpikingTask:
    """Of 5,000 shuffled digits the first 256 calibrate, 1,024 are tuned on, the others judge."""
    images, labels = data.mnist(5000)
    known, tuned, held = images.tensor_split([256, 1280])
    return _images(models.mnist_cnn(), known, tuned, held, labels[1280:], "MNIST", 500, limit)


def fashion_mnist(name: str) -> Callable[[int | None], SpikingTask]:
    """A network trained on Fashion-MNIST, judged on its test images."""

    def task(limit: int | None = None) -> SpikingTask:
        training, _ = data.fashion_mnist("train")
        images, labels = data.fashion_mnist("t10k")
        model = fashion.trained(name)
        known, tuned = training[:512], training[512:1536]
        return _images(model, known, tuned, images, labels, "Fashion-MNIST", 250, limit)

    return task


def _images(
    model: nn.Module,
    calibration: Tensor,
    tuning: Tensor,
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
        [(x,) for x in tuning.split(64 if batch > 64 else 16)],
        [((x,), y) for x, y in parts],
        f"{len(images)} {name} images",
    )


_CROPS, _CALIBRATION_CROPS, _TUNING_CROPS = 40, 12, 32


def efficientnet_lite0(limit: int | None = None) -> SpikingTask:
    """20 labelled images, and 200 crops of photographs of which no class is known (label -1)."""
    model = models.efficientnet_lite0()
    transform = transform_of(model)
    images, labels = data.imagenet(transform, 20)
    crops = data.crops(data.PHOTOGRAPHS, _CROPS, transform)
    images = torch.cat([images, crops])
    labels = torch.cat([labels, torch.full((len(crops),), -1)])
    calibration, tuning = (
        _shuffled(data.crops(data.CALIBRATION_PHOTOGRAPHS, count, transform))
        for count in (_CALIBRATION_CROPS, _TUNING_CROPS)
    )
    task = _images(model, calibration, tuning, images, labels, "ImageNet", 10, limit)
    count = len(images[:limit])
    described = f"{min(20, count)} ImageNet images, {max(0, count - 20)} crops of photographs"
    return SpikingTask(**{**vars(task), "described": described})


def _shuffled(images: Tensor) -> Tensor:
    return images[torch.randperm(len(images), generator=torch.Generator().manual_seed(0))]


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
        return mean_of_tokens(hidden, attention_mask)


_TRAINING_DOCUMENTS, _CALIBRATION_DOCUMENTS, _TUNING_DOCUMENTS = 3000, 128, 512


def minilm(limit: int | None = None) -> SpikingTask:
    """MiniLM with a logistic regression on 3,000 training documents, on the R8 test set."""
    tokenize = models.tokenizer(models.MINILM.path)
    training, test = reuters("train"), reuters("test")[:limit]
    classes = classes_of(training)

    def inputs(documents: Documents) -> dict[str, Tensor]:
        found = encoded(tokenize, [text for text, _ in documents])
        return {name: found[name] for name in ("input_ids", "attention_mask")}

    model = Probed(models.hugging_face(models.MINILM), len(classes), MINILM_WIDTH).eval()
    known = training[:_TRAINING_DOCUMENTS]
    fitted = kept_tensors(
        "minilm_probe", lambda: _probe(model, inputs(known), labels_of(known, classes))
    )
    model.probe.load_state_dict(fitted)
    calibration = inputs(training[:_CALIBRATION_DOCUMENTS])
    tuning = inputs(training[_CALIBRATION_DOCUMENTS:][:_TUNING_DOCUMENTS])
    given = inputs(test)
    labels = labels_of(test, classes)
    return SpikingTask(
        model,
        {name: x[:2] for name, x in calibration.items()},
        batches(calibration, 16),
        batches(tuning, 32),
        list(zip(batches(given, 32), labels.split(32), strict=True)),
        f"{len(test)} Reuters R8 documents",
    )


@torch.no_grad()
def _probe(
    model: Probed, given: Mapping[str, Tensor], labels: Tensor
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Fit the linear probe; return its weights, and how much of the training data it gets right."""
    from sklearn.linear_model import LogisticRegression

    features = torch.cat([model.pooled(**part) for part in batches(given, 50)])
    fitted = LogisticRegression(max_iter=2000, C=10.0).fit(features.numpy(), labels.numpy())
    state = {
        "weight": torch.tensor(fitted.coef_, dtype=torch.float32).contiguous(),
        "bias": torch.tensor(fitted.intercept_, dtype=torch.float32),
    }
    return state, {"right": f"{fitted.score(features.numpy(), labels.numpy()):.4f}"}


_WINDOW = 128
_JUDGED = ("california_housing", "twenty_newsgroups", "lfw", "kddcup99", "rcv1")
_CALIBRATING = ("breast_cancer", "diabetes", "wine_data", "linnerud", "covtype", "iris")


def smollm2(limit: int | None = None) -> SpikingTask:
    """Next tokens of descriptions of data sets, which come with scikit-learn."""
    tokenize = models.tokenizer(models.SMOLLM2.path)

    def windows(names: Iterable[str]) -> Tensor:
        ids = tokenize(descriptions(names), return_tensors="pt")["input_ids"][0]
        return ids[: len(ids) // _WINDOW * _WINDOW].reshape(-1, _WINDOW)

    ids, training = windows(_JUDGED)[:limit], windows(_CALIBRATING)
    calibration, tuning = training[:24], training[24:]
    constants = {"use_cache": False}
    return SpikingTask(
        models.hugging_face(models.SMOLLM2),
        {"input_ids": calibration[:2], **constants},
        [{"input_ids": part, **constants} for part in calibration.split(4)],
        [{"input_ids": part, **constants} for part in tuning.split(2)],
        [({"input_ids": part, **constants}, part[:, 1:]) for part in ids.split(2)],
        f"{ids[:, 1:].numel()} next tokens of English text",
        lambda y: y["logits"][:, :-1] if y["logits"].dim() == 3 else y["logits"][:, :, :-1],
        language=True,
    )


TASKS: Mapping[str, Callable[[int | None], SpikingTask]] = {
    "minilm": minilm,
    "fashion-vit": fashion_mnist("vit"),
    "fashion-resnet": fashion_mnist("resnet"),
    "efficientnet-lite0": efficientnet_lite0,
    "mnist-cnn": mnist_cnn,
    "smollm2": smollm2,
}
