"""What each checkpoint does on its data: the inputs, the runs, the predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.checkpoints import data, models
from benchmarks.checkpoints.shipped import Shipped
from benchmarks.checkpoints.texts import PARAGRAPHS

Call = Callable[..., Any]
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
    from timm.data import create_transform, resolve_model_data_config

    model = models.efficientnet_lite0()
    images, labels = data.imagenet(create_transform(**resolve_model_data_config(model)), count)
    return _classifier(model, images, labels, f"{len(images)} ImageNet images", batch=4)


def mnist_cnn(count: int) -> Task:
    images, labels = data.mnist(count)
    return _classifier(models.mnist_cnn(), images, labels, f"{len(images)} MNIST digits", batch=100)


def _classifier(model: nn.Module, x: Tensor, labels: Tensor, what: str, batch: int) -> Task:
    def run(call: Call) -> Outputs:
        return {"logits": torch.cat([call(part) for part in x.split(batch)])}

    return Task(model, (x[:2],), what, run, lambda y: y["logits"].argmax(-1), labels, coded=True)


MINILM_TOKENS, CENTROID_DOCUMENTS = 64, 256


def minilm(count: int) -> Task:
    """Documents are given the class whose mean embedding, over training documents, is nearest."""
    model = models.hugging_face(models.MINILM)
    tokenize = models.tokenizer(models.MINILM.path)
    training, test = data.reuters("train")[:CENTROID_DOCUMENTS], data.reuters("test")[:count]
    classes = sorted({name for _, name in training})

    def inputs(documents: list[tuple[str, str]]) -> dict[str, Tensor]:
        form = {"padding": "max_length", "truncation": True, "max_length": MINILM_TOKENS}
        return dict(tokenize([text for text, _ in documents], return_tensors="pt", **form))

    def batched(call: Call, given: dict[str, Tensor]) -> Outputs:
        parts = [call(**part) for part in _split(given, 20)]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def embedded(y: Outputs, mask: Tensor) -> Tensor:
        pooled = (y["last_hidden_state"] * mask.unsqueeze(-1)).sum(1)
        return nn.functional.normalize(pooled, dim=-1)  # the mean, but for its length

    known, given = inputs(training), inputs(test)
    embeddings = embedded(batched(model, known), known["attention_mask"])
    own = torch.tensor([classes.index(name) for _, name in training])
    centroids = torch.stack([embeddings[own == n].mean(0) for n in range(len(classes))])
    centroids = nn.functional.normalize(centroids, dim=-1)
    padded = (given["attention_mask"] == 0).any(1).sum().item()
    return Task(
        model,
        _most_padded(given, 2),
        f"{len(test)} Reuters R8 documents, {MINILM_TOKENS} tokens ({padded} with padding)",
        lambda call: batched(call, given),
        lambda y: (embedded(y, given["attention_mask"]) @ centroids.T).argmax(-1),
        torch.tensor([classes.index(name) for _, name in test]),
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
        parts = [call(**part, use_cache=False)["logits"] for part in _split(given, 2)]
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


SPEECH_THRESHOLD = 0.5


def silero_vad(seconds: int) -> Task:
    """Two streams of audio; each chunk is one call, and its state goes into the next call.

    A converted run of one chunk has ``T`` time steps of its own, with the increments of
    ``(x, h, c)`` as inputs; what it has answered at its last step is carried on.
    """
    model, example = models.silero_vad()
    audio, truth, voice = data.speech(seconds)
    stream = data.chunks(audio)
    spoken = truth[: len(stream) * data.CHUNK].reshape(len(stream), -1).mean(1) > 0.5

    def run(call: Call) -> Outputs:
        h, c = torch.zeros(2, 2, 128)
        answers = []
        for x in stream:
            probability, h, c = call(x, h, c)
            answers.append((probability, h, c))
        outputs = map(torch.stack, zip(*answers, strict=True))
        return dict(zip(("probability", "h", "c"), outputs, strict=True))

    return Task(
        model,
        example,
        f"{stream.shape[0] * stream.shape[1]} chunks: 2 streams of {seconds} s, {voice}, "
        "state carried",
        run,
        lambda y: (y["probability"] > SPEECH_THRESHOLD).flatten(),
        spoken.unsqueeze(1).expand(-1, 2).flatten(),
        coded=True,
    )


def _split(given: Mapping[str, Tensor], batch: int) -> list[dict[str, Tensor]]:
    size = len(next(iter(given.values())))
    return [
        {name: value[start : start + batch] for name, value in given.items()}
        for start in range(0, size, batch)
    ]


def _most_padded(given: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
    rows = given["attention_mask"].sum(1).argsort()[:count]
    return {name: value[rows] for name, value in given.items()}


_MODELS = "python:benchmarks.checkpoints.models"
_GGUF = ("gguf==0.19.0", "accelerate==1.15.0", "psutil")  # transformers reads GGUF with these
CHECKPOINTS: Mapping[str, Checkpoint] = {
    "efficientnet-lite0": Checkpoint(
        "EfficientNet-Lite0 (timm)",
        models.EFFICIENTNET_LITE0,
        efficientnet_lite0,
        20,
        (f"{_MODELS}:efficientnet_lite0",),
        (data.IMAGENET.requirement,),
    ),
    "minilm": Checkpoint(
        "MiniLM (BERT, 6 layers)",
        models.MINILM,
        minilm,
        300,
        ("hf:{path}",),
        (data.REUTERS.requirement,),
    ),
    "mnist-cnn": Checkpoint(
        "MNIST CNN",
        models.MNIST_CNN,
        mnist_cnn,
        5000,
        ("{path}", "--arch", f"{_MODELS}:MnistCNN", "--input", "2,1,28,28"),
        (data.MNIST.requirement,),
    ),
    "smollm2": Checkpoint(
        "SmolLM2-135M-Instruct (Llama)", models.SMOLLM2, smollm2, 8, ("hf:{path}",), _GGUF
    ),
    "silero-vad": Checkpoint(
        "Silero VAD (conv, LSTM cell)",
        models.SILERO_VAD,
        silero_vad,
        24,
        (f"{_MODELS}:silero_vad",),
    ),
}
