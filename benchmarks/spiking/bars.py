"""What the spiking conversions are expected to reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.spiking.curves import Curve, Point
from benchmarks.tables import table


@dataclass(frozen=True)
class Bar:
    """A bound on one conversion by the end of one step.

    Attributes:
        task, rules, step: which; rules by the name of a `Run`.
        agreement: the least; None: any.
        accuracy: the most that may be lost, in points.
        perplexity: how far it may be from the source's, relatively.
        rate: the most spikes per neuron and step.
        energy: the most, of the source's, by the cost model ``arithmetic`` in float32.
        bits: the most per value.
    """

    task: str
    rules: str
    step: int
    agreement: float | None = None
    accuracy: float | None = None
    perplexity: float | None = None
    rate: float | None = None
    energy: float | None = None
    bits: float | None = None

    def judged(self, curve: Curve) -> list[tuple[str, str, bool]]:
        """Return what is bounded, what was measured, and whether the bar is met."""
        at = curve.points[self.step - 1]
        found = []
        if self.agreement is not None:
            text = f"agreement >= {self.agreement:.1%}"
            found.append((text, f"{at.agreement:.2%}", at.agreement >= self.agreement))
        if self.accuracy is not None:
            lost = 100 * _lost(curve, at)
            found.append(
                (f"accuracy within {self.accuracy} points", f"{-lost:+.2f}", lost <= self.accuracy)
            )
        if self.perplexity is not None:
            gained = -_lost(curve, at)
            text = f"perplexity within {self.perplexity:.1%}"
            found.append((text, f"{gained:+.2%}", abs(gained) <= self.perplexity))
        if self.rate is not None:
            found.append((f"rate <= {self.rate}", f"{at.rate:.3f}", at.rate <= self.rate))
        if self.energy is not None:
            share = at.energy / curve.source_energy
            text = f"energy <= {self.energy} of the source's"
            found.append((text, f"{share:.3f}", share <= self.energy))
        if self.bits is not None:
            text = f"bits per value <= {self.bits}"
            found.append((text, f"{at.bits_per_value:.1f}", at.bits_per_value <= self.bits))
        return found


def _lost(curve: Curve, at: Point) -> float:
    """Return how far the score is below the source's; of perplexity, relatively."""
    assert curve.source_score is not None and at.score is not None
    if curve.language:
        return 1 - at.score / curve.source_score
    return curve.source_score - at.score


_CLASSIFIERS = ("minilm", "fashion-vit", "fashion-resnet")
_TUNED = {
    "mnist-cnn": (0.06, 9),
    "fashion-resnet": (0.15, 9),
    "fashion-vit": (0.22, 9),
    "minilm": (0.19, 9),
    "efficientnet-lite0": (0.30, 9),
    "smollm2": (0.40, 14),
}
"""Energy of the source, and bits per value."""
BARS = (
    *(Bar(name, "spiking", 1, agreement=0.995, accuracy=0.3) for name in _CLASSIFIERS),
    *(Bar(name, "spiking, K=1", 4, agreement=0.995, accuracy=0.3) for name in _CLASSIFIERS),
    Bar("efficientnet-lite0", "spiking", 1, agreement=0.99),
    Bar("efficientnet-lite0", "spiking, K=1", 4, agreement=0.95),
    Bar("mnist-cnn", "spiking", 1, agreement=0.995),
    Bar("mnist-cnn", "rate_if", 32, agreement=0.99),
    Bar("smollm2", "spiking", 1, perplexity=0.005),
    Bar("minilm", "sparse", 4, agreement=0.995, accuracy=0.3, rate=0.3),
    *(Bar(name, "fully_spiking", 1, agreement=0.999) for name in _CLASSIFIERS),
    Bar("minilm", "fully_spiking, K=1", 4, agreement=0.999),
    Bar("smollm2", "fully_spiking", 1, perplexity=0.003, agreement=0.995),
    Bar("smollm2", "fully_spiking, K=1", 4, perplexity=0.003),
    Bar("smollm2", "pow2", 1, perplexity=0.005),
    Bar("efficientnet-lite0", "fully_spiking", 1, agreement=0.99),
    Bar("efficientnet-lite0", "pow2", 1, agreement=0.99),
    *(
        Bar(name, "spiking, tuned", 1, agreement=0.99, energy=energy, bits=bits)
        for name, (energy, bits) in _TUNED.items()
    ),
)


def bars_table(curves: Mapping[tuple[str, str], Curve], *, all_of_them: bool) -> str:
    """Return a table of the bars, and which are met: of all, or of what was measured alone."""
    rows: list[tuple[object, ...]] = []
    for bar in BARS:
        curve = curves.get((bar.task, bar.rules))
        if curve is None and not all_of_them:
            continue
        if curve is None or len(curve.points) < bar.step:
            rows.append((bar.task, bar.rules, bar.step, *"----", "not measured", ""))
            continue
        at = curve.points[bar.step - 1]
        counted = (curve.bursts, f"{at.spikes_per_value:.3f}", f"{curve.bits:.1f}")
        for text, measured, met in bar.judged(curve):
            verdict = "met" if met else "**missed**"
            rows.append((bar.task, bar.rules, bar.step, *counted, text, measured, verdict))
    of_spikes = ("K", "spikes per value", "bits per spike")
    return table(("task", "rules", "T", *of_spikes, "bar", "measured", ""), rows)
