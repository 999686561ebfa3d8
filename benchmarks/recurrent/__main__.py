"""Recurrent networks: exact, on spikes without training, and as spiking cells that are trained.

Usage: python -m benchmarks.recurrent [--seconds N] [--epochs N] [--out RESULTS.md]

Needs the packages sktime==1.2.0 and silero-vad==6.2.3 (installed with ``--no-deps``), and the
program espeak-ng. Takes about a quarter of an hour on one core.
"""

from __future__ import annotations

import copy
import itertools
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

import snnconvert
from benchmarks import models
from benchmarks.data.vowels import japanese_vowels
from benchmarks.models import vowels as classifier
from benchmarks.options import add_out, parser, started
from benchmarks.recurrent import silero
from benchmarks.runs import at_last_step
from benchmarks.tables import table
from benchmarks.timing import ratio
from snnconvert.ops import TDLSTM

TIME_STEPS = 8
WHOLLY = ("fully_spiking", "pow2")  # rules with every operator on spikes, in one step
RATE = 5e-3  # largest learning rate of fine-tuning
Rows = list[tuple[str, ...]]


def vowels(epochs: int) -> tuple[Rows, Rows]:
    """Return the rows of the training-free conversions, and of the cells that are trained."""
    model = classifier.trained()
    training, test = japanese_vowels("TRAIN"), japanese_vowels("TEST")
    expected = classifier.predictions(model, test)
    source = _share(expected == test[2])
    inputs = (training[0][:2], training[1][:2])
    calibration = list(zip(*(part.split(45) for part in training[:2]), strict=True))
    exact = snnconvert.convert(model, inputs)
    conversions = [("TD", exact, (TIME_STEPS,))]
    for rules, steps in ("spiking", (1, 2, 4, TIME_STEPS)), *((name, (1,)) for name in WHOLLY):
        given = {"calibration": calibration, "time_steps": steps[-1]}
        snn = snnconvert.convert(model, inputs, rules, **given)
        conversions.append((f"`{rules}`{_on_spikes(snn)}", snn, steps))
    free: Rows = [("source", "-", "-", source)]
    for name, snn, steps in conversions:
        for count in steps:
            found = classifier.predictions(at_last_step(snn, count), test)
            free.append((name, str(count), _share(found == expected), _share(found == test[2])))
            print(*free[-1], flush=True)
    cells: Rows = [("source", source)]
    fresh = classifier.VowelClassifier().eval()
    for name, start in (("converted", copy.deepcopy(model)), ("weights drawn anew", fresh)):
        torch.manual_seed(0)
        snn = _spiking_cells(start, inputs)
        logits = at_last_step(snn, 1)
        if name == "converted":
            before = classifier.predictions(logits, test)
            cells.append((f"{name}, not trained", _share(before == test[2])))
        classifier.train(snn, logits, training, epochs, RATE, noise=0.4, teacher=model)
        after = classifier.predictions(logits, test)
        cells.append((f"{name}, {epochs} epochs", _share(after == test[2])))
        print(*cells[-1], flush=True)
    return free, cells


def _spiking_cells(model: nn.Module, inputs: tuple[Tensor, Tensor]) -> snnconvert.ConvertedModule:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", snnconvert.NotEquivalentWarning)  # it says: to be trained
        return snnconvert.convert(model, inputs, "spiking_cells")


def voice(seconds: int) -> Rows:
    """Return a row for each conversion of the voice activity detector."""
    model, example = models.silero_vad()
    calibration = silero.calibration(seconds, skipped=seconds)
    rows: Rows = []
    for rules in ("default", "spiking", *WHOLLY):
        steps = 1 if rules in WHOLLY else TIME_STEPS
        given = {} if rules == "default" else {"calibration": calibration}
        snn = snnconvert.convert(model, example, rules, time_steps=steps, **given)
        found = silero.compare(at_last_step(snn, steps), seconds)
        rows.append(
            (
                f"`{rules}`{_on_spikes(snn)}",
                str(steps),
                f"{found.mean_difference:.2g}",
                f"{found.max_difference:.2g}",
                f"{found.identical}/{found.chunks}",
            )
        )
        print(*rows[-1], flush=True)
    return rows


def cost(rounds: int) -> Rows:
    """Return what TD runs cost against ``nn.LSTM`` on the same ``T * B`` samples."""
    rows: Rows = []
    for features, hidden, length, options in (
        (64, 128, 50, {"num_layers": 2, "bidirectional": True}),
        (64, 256, 100, {}),
    ):
        lstm = nn.LSTM(features, hidden, batch_first=True, **options).eval()
        # An LSTM's time depends by a tenth on where its operands lie: each call has others.
        x_seqs = [torch.randn(TIME_STEPS, 16, length, features) for _ in range(8)]
        operator = TDLSTM.from_ann(lstm)
        snn = snnconvert.convert(lstm, (x_seqs[0][0],), verify=False)
        with torch.no_grad():
            for name, run in (("TDLSTM", operator), ("converted", snn)):
                ours, theirs = itertools.cycle(x_seqs), itertools.cycle(x_seqs)
                measured = ratio(
                    lambda run=run, ours=ours: run(next(ours)),
                    lambda lstm=lstm, theirs=theirs: lstm(next(theirs).flatten(0, 1)),
                    rounds,
                )
                rows.append((f"{name}, {lstm.extra_repr()}, L={length}", measured))
                print(*rows[-1], flush=True)
    return rows


def _on_spikes(snn: snnconvert.ConvertedModule) -> str:
    """Say how much is on spikes, and how many."""
    spiking = snn.report and snn.report.spiking
    if not spiking:
        return ""
    return (
        f", degree {spiking.degree}, K={spiking.latency.bursts}, "
        f"{spiking.spikes_per_value:.2f} spikes per value at T={len(spiking.steps)}"
    )


def _share(right: Tensor) -> str:
    return f"{right.float().mean():.2%}"


def main() -> None:
    of = parser("benchmarks.recurrent", __doc__)
    of.add_argument("--seconds", type=int, default=60, help="of speech")
    of.add_argument("--epochs", type=int, default=60, help="of fine-tuning")
    add_out(of, Path(__file__).parent / "RESULTS.md")
    options = started(of)
    spent = cost(rounds=41)
    free, cells = vowels(options.epochs)
    streamed = voice(options.seconds)
    options.out.write_text(
        "# Recurrent networks\n\n"
        f"Made by `python -m benchmarks.recurrent --seconds {options.seconds} --epochs "
        f"{options.epochs}`, torch {torch.__version__}.\n\n"
        "## Japanese Vowels: two bidirectional LSTM layers\n\n"
        "370 test sequences; thresholds from the 270 training sequences, nothing retrained. Spikes "
        "per value are those on the example. Agreement is with the source's predictions.\n\n"
        + table(("conversion", "T", "agreement", "accuracy"), free)
        + '\n\nThe same with `SpikingLSTM` in the place of the LSTM (`rules="spiking_cells"`), '
        "trained with surrogate gradients and the source for a teacher:\n\n"
        + table(("SpikingLSTM", "accuracy"), cells)
        + "\n\n## Silero VAD: an LSTM cell, streamed\n\n"
        f"Two streams of {options.seconds} s of espeak-ng speech with pauses, the second in noise; "
        "the state that a chunk ends in goes into the next one. Thresholds from what follows.\n\n"
        + table(
            (
                "conversion",
                "T",
                "mean difference of the probability",
                "largest",
                "identical decisions",
            ),
            streamed,
        )
        + "\n\n## Cost of TD\n\nAgainst `nn.LSTM` on T * B samples, T=8, B=16, float32: ratio of "
        "medians (quartiles of the pairwise ratios).\n\n" + table(("run", "ratio"), spent) + "\n"
    )


if __name__ == "__main__":
    main()
