"""A convolutional network on MNIST."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.shipped import Shipped

MNIST_CNN = Shipped("digit-recognizer-py==0.1.0", "digit_recognizer/models/handwriting_model.pth")


class MnistCNN(nn.Module):
    """Three blocks of convolution, ReLU and max pooling, two linear layers; ``[B, 1, 28, 28]``."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_layers = nn.Sequential(*_block(1, 32), *_block(32, 64), *_block(64, 128))
        self.fc_layers = nn.Sequential(nn.Linear(1152, 256), nn.ReLU(), nn.Linear(256, 10))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc_layers(self.conv_layers(x).flatten(1))


def _block(channels: int, filters: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, 2)


def mnist_cnn() -> nn.Module:
    model = MnistCNN()
    model.load_state_dict(torch.load(MNIST_CNN.path, map_location="cpu", weights_only=True))
    return model.eval()
