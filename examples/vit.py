"""timm's ViT on digits with every operator on spikes, and what each of its neurons adds.

pip install '.[all]' scikit-learn
python examples/vit.py          # about half a minute on one core
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

import snnconvert

TRAINING, EPOCHS = 1400, 15


def digits() -> tuple[Tensor, Tensor]:
    """Grey digits ``[N, 1, 8, 8]`` in -1..1 and their classes, shuffled."""
    data = load_digits()
    order = torch.randperm(len(data.images))
    images = torch.tensor(data.images, dtype=torch.float32).unsqueeze(1) / 8 - 1
    return images[order], torch.tensor(data.target)[order]


def trained(images: Tensor, labels: Tensor) -> nn.Module:
    """A vision transformer of two blocks and 16 patches."""
    model = VisionTransformer(
        img_size=8,
        patch_size=2,
        in_chans=1,
        embed_dim=48,
        depth=2,
        num_heads=3,
        mlp_ratio=2,
        num_classes=10,
    )
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=EPOCHS * 14)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(images)).split(100):
            loss = F.cross_entropy(model(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def main() -> None:
    torch.manual_seed(0)
    images, labels = digits()
    training, held_out = images[:TRAINING], images[TRAINING:]
    model = trained(training, labels[:TRAINING])

    # Norms, softmax, GELU and attention are spikes too; the report proves it.
    snn = snnconvert.convert(
        model, (training[:8],), "fully_spiking", calibration=[training[:256]], verify=False
    )
    report = snnconvert.verify(model, snn, data=[held_out], labels=labels[TRAINING:])
    print(report, "\n")

    # Which neurons cost the most, and what each adds to the error by itself.
    analysis = snnconvert.analyze(snn, [held_out[:64]])
    for site in sorted(analysis.sites, key=lambda site: -site.energy)[:5]:
        print(f"{site.name}: {site.energy:.3f} uJ, relative error alone {site.alone:.1e}")


if __name__ == "__main__":
    main()
