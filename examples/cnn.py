"""A CNN on digits: trained, converted exactly and into spikes, made cheap, saved and loaded.

pip install '.[all]' scikit-learn
python examples/cnn.py          # about a quarter of a minute on one core
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

import snnconvert

TRAINING = 1400


def digits() -> tuple[Tensor, Tensor]:
    """Grey digits ``[N, 1, 8, 8]`` in 0..1 and their classes, shuffled."""
    data = load_digits()
    order = torch.randperm(len(data.images))
    images = torch.tensor(data.images, dtype=torch.float32).unsqueeze(1) / 16
    return images[order], torch.tensor(data.target)[order]


def trained(images: Tensor, labels: Tensor) -> nn.Module:
    """A small CNN, trained for ten epochs."""
    model = nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(512, 10)),
    )
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(10):
        for batch in torch.randperm(len(images)).split(100):
            loss = F.cross_entropy(model(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.eval()


def main() -> None:
    torch.manual_seed(0)
    images, labels = digits()
    training, held_out = images[:TRAINING], images[TRAINING:]
    model = trained(training, labels[:TRAINING])

    # Exact: nothing is approximated, at every time step.
    exact = snnconvert.convert(model, (training[:8],))
    print("default:", exact.report.verdict(), "\n")

    # Spikes: thresholds from training images, judged on images that were not seen.
    for rules in ("spiking", "rate_if"):
        snn = snnconvert.convert(
            model, (training[:8],), rules, calibration=[training[:256]], verify=False
        )
        report = snnconvert.verify(model, snn, data=[held_out], labels=labels[TRAINING:])
        last = report.spiking.steps[-1]
        print(
            f"{rules}: degree {report.spiking.degree}, T={last.step}, accuracy "
            f"{last.accuracy:.2%}, {last.top1:.2%} of predictions the source's, "
            f"{last.energy:.3f} uJ by arithmetic in float32"
        )

    # The cheapest rules that keep 99 % of the predictions, found on one half of these images.
    tuned = snnconvert.tune(model, (training[:8],), calibration=training[:512].split(64))
    report = snnconvert.verify(model, tuned.snn, data=[held_out], labels=labels[TRAINING:])
    last = report.spiking.steps[-1]
    print(
        f"tuned: T={last.step}, accuracy {last.accuracy:.2%}, {last.top1:.2%} of predictions the "
        f"source's, {last.energy:.3f} uJ\n"
    )

    # A saved conversion holds the network, its rules and thresholds; it also runs step by step.
    tuned.snn.save("digits.snn")
    loaded = snnconvert.load("digits.snn")
    with torch.no_grad():
        answer = loaded.step(held_out[:1])
    print("one digit:", int(answer.argmax()), "is", int(labels[TRAINING]))


if __name__ == "__main__":
    main()
