"""How close a spiking network's outputs, and its layers, are to the source's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StepCloseness:
    """How close the cumulative outputs are to the source's by the end of one step.

    Attributes:
        step: number of steps that were run, from 1.
        rel_error: ``|Y_t - y| / |y|``, over all outputs of real or complex numbers (of one on
            which the source is zero, relative to what the network computes with, where that is
            worse); where there are none, the share of values that are not the source's.
        cosine: mean cosine between outputs and the source's, sample by sample; None where there
            are no samples of several values.
        top1, top5: share of predictions that are the source's (are among its five likeliest);
            None where outputs have no classes.
        accuracy: share of labels that are predicted; None without labels.
        rate: spikes per neuron and step, up to this step.
        energy: of a sample in float32, in microjoules, up to this step, by the cost model
            ``arithmetic``.
        equal: share of truth values and integers that are the source's; None where outputs have
            none.
    """

    step: int
    rel_error: float
    cosine: float | None
    top1: float | None
    top5: float | None
    accuracy: float | None
    rate: float
    energy: float
    equal: float | None = None


@dataclass(frozen=True)
class LayerCloseness:
    """A layer's value at the last step against the source's activation.

    Attributes:
        name: of the source's node.
        place: its op kind and module path.
        correlation: with the source's; None where its values, or the source's, have no spread.
        rel_error: ``|Y - y| / |y|``, all errors of the layers before included.
        inherited: ``|F - y| / |y|``, where ``F`` is what the layer makes of what arrives if its own
            neurons say all that they follow; None: not recorded.
        added: ``|Y - F| / |y|``: by its own neurons.
    """

    name: str
    place: str
    correlation: float | None
    rel_error: float
    inherited: float | None = None
    added: float | None = None
