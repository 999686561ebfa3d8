"""Closeness of cumulative outputs to the source's, summed up over batches."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from snnconvert.converter.graph.comparison import beside_huge, real
from snnconvert.converter.reports.closeness import StepCloseness
from snnconvert.converter.running.classes import Classes, find_classes, predicted
from snnconvert.converter.verification.measure.predictions import check_labels
from snnconvert.errors import VerificationError
from snnconvert.ops.sequence import is_number

_FIVE = 5
_NOTHING = 1e-6  # of what the network computes with: values below it are rounding


class Closeness:
    """Sums for each step.

    Args:
        steps: how many there are.
        names: of the output tensors.
        output, classes: as of `find_classes`.
    """

    def __init__(
        self,
        steps: int,
        names: Sequence[str],
        output: str | int | None = None,
        classes: int | None = None,
    ) -> None:
        self.names, self.output, self.classes = tuple(names), output, classes
        outputs = len(self.names)
        self.error = torch.zeros(steps, outputs, dtype=torch.float64)
        self.norm, self.values = (torch.zeros(outputs, dtype=torch.float64) for _ in range(2))
        self.cosine, self.top1, self.top5, self.right = (torch.zeros(steps) for _ in range(4))
        self.alike = torch.zeros(steps, dtype=torch.float64)
        self.discrete, self.samples, self.predictions, self.labelled = 0, 0, 0, 0
        self.source_right = 0.0
        self.five = True
        self.predictions_of: str | None = None

    def add(
        self, answers: list[list[Tensor]], expected: list[Tensor], labels: Tensor | None
    ) -> None:
        """Add one batch.

        Args:
            answers: the output tensors by the end of each step.
            expected: the source's.
            labels: right answers, or None.

        Raises:
            InputError: there are no classes that the labels fit, or none where they were chosen.
            VerificationError: the source's answers hold NaN.
        """
        for i, y in enumerate(expected):
            if is_number(y):
                self._refuse_nan(y, self.names[i])
                self.norm[i] += float(_judged(y, y)[1].square().sum())
                self.values[i] += y.numel()
            else:
                self.discrete += y.numel()
        for t, step in enumerate(answers):
            self._compare(t, step, expected)
        found = find_classes(self.names, expected, labels, self.output, self.classes)
        if found is not None:
            self.predictions_of = self.names[found.output]
            own = [step[found.output] for step in answers]
            self._predict(own, expected[found.output], found, labels)

    def _refuse_nan(self, y: Tensor, name: str) -> None:
        if bool(torch.isnan(y).any()):
            raise VerificationError(
                f"the source's output '{name}' holds NaN on data behind the first {self.samples} "
                "samples, so nothing can be compared; look for NaN or infinities among its inputs, "
                "and leave such samples out"
            )

    def _compare(self, t: int, step: list[Tensor], expected: list[Tensor]) -> None:
        numbers = []
        for i, (a, b) in enumerate(zip(step, expected, strict=True)):
            if not is_number(b):
                self.alike[t] += float((a == b).sum())
                continue
            # Infinities that are the same are no error; others are an infinite one.
            self.error[t, i] += math.inf if bool((~_same_end(a, b)).any()) else 0.0
            x, y = _judged(a, b)
            self.error[t, i] += float((x - y).square().sum())
            numbers.append((x, y))
        # The states of a recurrent layer have their samples elsewhere than the first output.
        rows = next((len(y) for _, y in numbers if y.dim() > 1), 0)
        flat = [(x.flatten(1), y.flatten(1)) for x, y in numbers if y.dim() > 1 and len(y) == rows]
        if not flat:
            return
        x, y = (torch.cat(own, 1) for own in zip(*flat, strict=True))
        self.cosine[t] += torch.cosine_similarity(x, y).sum().cpu()
        if t == 0:
            self.samples += rows

    def _predict(
        self, answers: list[Tensor], logits: Tensor, found: Classes, labels: Tensor | None
    ) -> None:
        dim, count = found.dim, logits.shape[found.dim]
        wanted = predicted(logits, dim)
        self.predictions += wanted.numel()
        if labels is not None:
            labels = labels.to(wanted.device)
            known = check_labels(labels, count)
            self.labelled += int(known.sum())
            self.source_right += float((wanted == labels)[known].sum())
        self.five = count > _FIVE
        for t, answer in enumerate(answers):
            chosen = predicted(answer, dim)
            self.top1[t] += (chosen == wanted).sum().cpu()
            if self.five:
                likeliest = logits.topk(_FIVE, dim).indices
                self.top5[t] += (likeliest == chosen.unsqueeze(dim)).any(dim).sum().cpu()
            if labels is not None:
                self.right[t] += (chosen == labels)[known].sum().cpu()

    def steps(
        self, rates: list[float], energies: list[float], scale: float
    ) -> tuple[StepCloseness, ...]:
        """Return the closeness by the end of each step.

        Args:
            rates: spikes per neuron and step, up to each step.
            energies: energy of a sample in microjoules, up to each step.
            scale: root mean square of what the network computes with.

        Raises:
            VerificationError: the source answers zero alone, so that no relative error is.
        """
        errors = self.relative_errors(scale)
        return tuple(
            StepCloseness(
                step=t + 1,
                rel_error=errors[t],
                cosine=float(self.cosine[t] / self.samples) if self.samples else None,
                top1=self._share(self.top1[t], self.predictions),
                top5=self._share(self.top5[t], self.predictions) if self.five else None,
                accuracy=self._share(self.right[t], self.labelled),
                rate=rates[t],
                energy=energies[t],
                equal=self._share(self.alike[t], self.discrete),
            )
            for t in range(len(self.error))
        )

    def relative_errors(self, scale: float) -> list[float]:
        """Return the relative error of each step: of all outputs that the source gives values,
        or that of an output on which the source is zero, against the scale, where it is larger.

        Where truth values and integers are all that there is, it is the share that differ.
        """
        least = self.values * scale**2
        silent = (self.norm <= least * _NOTHING**2) & (self.values > 0)
        if not bool((self.values > 0).any()):
            return [1.0 - float(n) / max(self.discrete, 1) for n in self.alike]
        if bool((silent | (self.values == 0)).all()):
            raise VerificationError(
                f"the source's outputs ({', '.join(self.names)}) are zero on the data, or below "
                f"{_NOTHING:g} of what the network computes with, which is rounding, so nothing "
                "can be said of how close the conversion comes; measure on other data"
            )
        own = self.error[:, ~silent].sum(1) / self.norm[~silent].sum()
        against = (self.error / least.clamp(min=1e-300))[:, silent]
        worst = torch.cat([own[:, None], against], 1).max(1).values
        return [math.sqrt(x) for x in worst.tolist()]

    def source_accuracy(self) -> float | None:
        """Return the source's own accuracy; None without labels."""
        return self._share(torch.tensor(self.source_right), self.labelled)

    @staticmethod
    def _share(count: Tensor, of: int) -> float | None:
        return float(count) / of if of else None


def _judged(x: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Return values and the source's, whose squares say how close they are: where the source's are
    not finite, both are zero."""
    ends = ~torch.isfinite(wanted)
    x, wanted = (real(v.masked_fill(ends, 0.0)).double() for v in (x, wanted))
    return beside_huge(x, wanted)


def _same_end(a: Tensor, b: Tensor) -> Tensor:
    """Tell where a value is finite in the source, or the same infinity, or NaN, on both sides."""
    return torch.isfinite(b) | (a == b) | (a.isnan() & b.isnan())
