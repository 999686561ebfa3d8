"""The first stage of the face detector MTCNN."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.shipped import Shipped

MTCNN_PNET = Shipped("facenet-pytorch==2.6.0", "facenet_pytorch/data/pnet.pt")


class PNet(nn.Module):
    """Looks for a face of 12 pixels at every other place, ``[B, 3, H, W]``.

    Returns:
        Logits of no face and face ``[B, 2, h, w]``, and corners of its box ``[B, 4, h, w]``.

    Source: Zhang et al., Joint Face Detection and Alignment (2016).
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 10, 3), nn.PReLU(10)
        self.conv2, self.prelu2 = nn.Conv2d(10, 16, 3), nn.PReLU(16)
        self.conv3, self.prelu3 = nn.Conv2d(16, 32, 3), nn.PReLU(32)
        self.conv4_1, self.conv4_2 = nn.Conv2d(32, 2, 1), nn.Conv2d(32, 4, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.max_pool2d(self.prelu1(self.conv1(x)), 2, 2, ceil_mode=True)
        x = self.prelu3(self.conv3(self.prelu2(self.conv2(x))))
        return self.conv4_1(x), self.conv4_2(x)


def mtcnn_pnet() -> nn.Module:
    model = PNet()
    model.load_state_dict(torch.load(MTCNN_PNET.path, map_location="cpu", weights_only=True))
    return model.eval()
