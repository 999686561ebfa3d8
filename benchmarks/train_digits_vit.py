"""Trains the demo model ``demo:digits-vit`` on scikit-learn's digits and writes what ships.

Run ``python -m benchmarks.train_digits_vit`` (needs scikit-learn; about two minutes on one core).
The 1,797 images are split with a fixed seed into 1,437 for training and 360 held out; training is
deterministic on one thread. It writes ``digits_vit.safetensors`` (the weights, with the held-out
accuracy in its metadata) and ``digits.safetensors`` (64 held-out digits with labels, 256 training
digits for calibration) into ``snnconvert/demos``.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor

from benchmarks.options import parser, started
from snnconvert.demos.digits_vit import DIGITS, WEIGHTS, DigitsViT, normalise

EPOCHS, BATCH, WARMUP = 80, 64, 100
HELD_OUT, EXAMPLES, CALIBRATION = 360, 64, 256


def shifted(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each image moved by -1, 0 or 1 pixel along both axes, the background filling in."""
    padded = F.pad(images, (1, 1, 1, 1), value=-1.0)
    rows, columns = torch.randint(0, 3, (2, len(images)), generator=generator).tolist()
    return torch.stack(
        [image[:, r : r + 8, c : c + 8] for image, r, c in zip(padded, rows, columns, strict=True)]
    )


def train(images: Tensor, labels: Tensor, epochs: int) -> DigitsViT:
    """AdamW with warm-up and cosine decay, label smoothing and shifts by one pixel."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    model = DigitsViT().train()
    steps = epochs * (len(images) // BATCH)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda n: min(n / WARMUP, 1.0) * 0.5 * (1 + math.cos(math.pi * min(n / steps, 1.0))),
    )
    for epoch in range(epochs):
        order = torch.randperm(len(images), generator=generator)
        for batch in order.split(BATCH)[: len(images) // BATCH]:
            logits = model(shifted(images[batch], generator))
            loss = F.cross_entropy(logits, labels[batch], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        if (epoch + 1) % 10 == 0:
            print(f"epoch {epoch + 1:3d}  loss {loss.item():.3f}")
    return model.eval()


@torch.no_grad()
def accuracy(model: DigitsViT, images: Tensor, labels: Tensor) -> float:
    return (model(images).argmax(-1) == labels).float().mean().item()


def main() -> None:
    of = parser("benchmarks.train_digits_vit", __doc__)
    of.add_argument("--epochs", type=int, default=EPOCHS)
    epochs = started(of).epochs
    from sklearn.datasets import load_digits

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    data = load_digits()
    pixels, labels = torch.tensor(data.images).to(torch.uint8), torch.tensor(data.target)
    order = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(0))
    held_out, training = order[:HELD_OUT], order[HELD_OUT:]
    model = train(normalise(pixels[training]), labels[training], epochs)
    score = accuracy(model, normalise(pixels[held_out]), labels[held_out])
    print(f"held-out accuracy {score:.4f} on {HELD_OUT} digits")
    metadata = {"held_out_accuracy": f"{score:.4f}", "epochs": str(epochs)}
    WEIGHTS.write_bytes(save(model.state_dict(), metadata))
    shipped = {
        "images": pixels[held_out[:EXAMPLES]],
        "labels": labels[held_out[:EXAMPLES]].to(torch.uint8),
        "calibration": pixels[training[:CALIBRATION]],
    }
    DIGITS.write_bytes(save({name: tensor.contiguous() for name, tensor in shipped.items()}))


if __name__ == "__main__":
    main()
