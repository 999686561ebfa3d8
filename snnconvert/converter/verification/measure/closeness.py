"""Closeness of cumulative outputs to the source's, summed up over batches."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from snnconvert.converter.reports.spiking import StepCloseness
from snnconvert.errors import InputError

_FIVE = 5


class Closeness:
    """Sums for each step; predictions are those of the first output with a class dimension."""

    def __init__(self, steps: int) -> None:
        self.error = torch.zeros(steps, dtype=torch.float64)
        self.cosine, self.top1, self.top5, self.right = (torch.zeros(steps) for _ in range(4))
        self.norm, self.samples, self.predictions, self.labelled = 0.0, 0, 0, 0
        self.source_right = 0.0
        self.five = True

    def add(
        self, answers: list[list[Tensor]], expected: list[Tensor], labels: Tensor | None
    ) -> None:
        """Add one batch.

        Args:
            answers: the output tensors by the end of each step.
            expected: the source's.
            labels: right answers, or None.
        """
        self.norm += float(sum(y.double().square().sum() for y in expected))
        for t, step in enumerate(answers):
            pairs = list(zip(step, expected, strict=True))
            self.error[t] += float(sum((a - b).double().square().sum() for a, b in pairs))
            # The states of a recurrent layer have their samples elsewhere than the first output.
            rows = next((len(b) for _, b in pairs if b.dim() > 1), 0)
            alike = [(a, b) for a, b in pairs if b.dim() > 1 and len(b) == rows]
            flat = [(a.flatten(1), b.flatten(1)) for a, b in alike]
            if flat:
                a, b = (torch.cat(x, 1) for x in zip(*flat, strict=True))
                self.cosine[t] += torch.cosine_similarity(a, b).sum().cpu()
            if flat and t == 0:
                self.samples += len(flat[0][0])
        logits = expected[0]
        if logits.dim() < 2 or logits.shape[-1] < 2 or not logits.is_floating_point():
            return
        self._predict([step[0] for step in answers], logits, labels)

    def _predict(self, answers: list[Tensor], logits: Tensor, labels: Tensor | None) -> None:
        wanted = logits.argmax(-1)
        self.predictions += wanted.numel()
        if labels is not None:
            if labels.shape != wanted.shape:
                raise InputError(
                    f"labels of shape {list(labels.shape)} do not fit predictions of shape "
                    f"{list(wanted.shape)}"
                )
            known = labels >= 0
            self.labelled += int(known.sum())
            self.source_right += float((wanted == labels)[known].sum())
        self.five = logits.shape[-1] > _FIVE
        for t, answer in enumerate(answers):
            chosen = answer.argmax(-1)
            self.top1[t] += (chosen == wanted).sum().cpu()
            if self.five:
                likeliest = logits.topk(_FIVE, -1).indices
                self.top5[t] += (likeliest == chosen.unsqueeze(-1)).any(-1).sum().cpu()
            if labels is not None:
                self.right[t] += (chosen == labels)[known].sum().cpu()

    def steps(self, rates: list[float], energies: list[float]) -> tuple[StepCloseness, ...]:
        """Return the closeness by the end of each step.

        Args:
            rates: spikes per neuron and step, up to each step.
            energies: energy of a sample in microjoules, up to each step.
        """
        return tuple(
            StepCloseness(
                step=t + 1,
                rel_error=math.sqrt(self.error[t] / self.norm) if self.norm else 0.0,
                cosine=float(self.cosine[t] / max(self.samples, 1)),
                top1=self._share(self.top1[t], self.predictions),
                top5=self._share(self.top5[t], self.predictions) if self.five else None,
                accuracy=self._share(self.right[t], self.labelled),
                rate=rates[t],
                energy=energies[t],
            )
            for t in range(len(self.error))
        )

    def source_accuracy(self) -> float | None:
        """Return the source's own accuracy; None without labels."""
        return self._share(torch.tensor(self.source_right), self.labelled)

    @staticmethod
    def _share(count: Tensor, of: int) -> float | None:
        return float(count) / of if of else None
