"""TD linear maps. They are affine: the bias enters once, at the first step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from snnconvert.errors import ConversionError, InputError
from snnconvert.ops.sharing import put
from snnconvert.ops.temporal_difference import TDOperator
from snnconvert.torch_private import ConvNd

if TYPE_CHECKING:
    from typing_extensions import Self


class TDLinear(TDOperator, nn.Linear):
    """TD linear map: ``y_0 = x_0 W^T + b``, then ``y_t = X_t W^T - X_{t-1} W^T``.

    Arguments as ``torch.nn.Linear``. Sequence form: ``[T, B, ..., in_features]`` to
    ``[T, B, ..., out_features]``, one call for all steps.

    Raises:
        InputError: the last dimension is not ``in_features``.
    """

    counterparts = (nn.Linear,)

    def cumulative(self, x: Tensor) -> Tensor:
        """Return ``x W^T + b`` of ``x``: ``[B, ..., in_features]``."""
        return nn.Linear.forward(self, x)

    def unroll(self, x: Tensor) -> Tensor:
        return self.cumulative(x)

    def check(self, x: Tensor) -> None:
        if x.dim() < 1 or x.shape[-1] != self.in_features:
            raise InputError(
                f"TDLinear: expected steps of shape [B, ..., {self.in_features}] (in_features="
                f"{self.in_features}), received {list(x.shape)}; move the features to the last "
                "dimension or use a layer of that size"
            )

    @classmethod
    def from_call(cls, *, weight: Tensor, bias: Tensor | None = None) -> Self:
        """Return the operator of ``aten.linear``."""
        if weight.dim() != 2 or (bias is not None and bias.dim() != 1):
            raise ConversionError(
                "TDLinear: expected a matrix as weight and a vector as bias, received shapes "
                f"{list(weight.shape)} and {None if bias is None else list(bias.shape)}"
            )
        out_features, in_features = weight.shape
        operator = cls(in_features, out_features, bias=bias is not None, device="meta")
        put(operator, "weight", weight)
        put(operator, "bias", bias)
        return operator


class _TDConv(TDOperator, ConvNd):
    """What the TD convolutions have in common: time is folded into the batch."""

    spatial: int

    def cumulative(self, x: Tensor) -> Tensor:
        """Return the convolution of ``x``: ``[B, in_channels, *spatial]``."""
        convolve = self._conv_forward
        return convolve(x, self.weight, self.bias)

    def unroll(self, x: Tensor) -> Tensor:
        if x.dim() == self.spatial + 2:  # unbatched: [T, C, *spatial] is one batch of T
            return self.cumulative(x)
        return self.cumulative(x.flatten(0, 1)).unflatten(0, x.shape[:2])

    def check(self, x: Tensor) -> None:
        unbatched = x.dim() == self.spatial + 1
        if not (unbatched or x.dim() == self.spatial + 2) or (
            x.shape[-self.spatial - 1] != self.in_channels
        ):
            space = ", ".join("DHW"[-self.spatial :])
            raise InputError(
                f"{type(self).__name__}: expected steps of shape [B, {self.in_channels}, {space}] "
                f"(in_channels={self.in_channels}) or [{self.in_channels}, {space}], received "
                f"{list(x.shape)}; move the channels before the spatial dimensions or use a layer "
                "of that size"
            )

    @classmethod
    def from_call(
        cls,
        *,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Sequence[int] = (1,),
        padding: Sequence[int] | str = (0,),
        dilation: Sequence[int] = (1,),
        groups: int = 1,
    ) -> Self:
        """Return the operator of ``aten.conv1d``, ``conv2d``, ``conv3d`` or their ``padding``."""
        out_channels, channels_per_group, *kernel_size = weight.shape
        settings: dict[str, Any] = {
            "stride": cls._per_dimension(stride),
            "padding": padding if isinstance(padding, str) else cls._per_dimension(padding),
            "dilation": cls._per_dimension(dilation),
            "groups": groups,
            "bias": bias is not None,
            "device": "meta",
        }
        try:
            operator = cls(
                channels_per_group * groups, out_channels, tuple(kernel_size), **settings
            )
        except ValueError as error:
            raise ConversionError(f"{cls.__name__}: {error}") from error
        put(operator, "weight", weight)
        put(operator, "bias", bias)
        return operator

    @classmethod
    def _per_dimension(cls, sizes: Sequence[int]) -> tuple[int, ...]:
        return tuple(sizes) * (cls.spatial if len(sizes) == 1 else 1)


class TDConv1d(_TDConv, nn.Conv1d):
    """TD convolution of ``[T, B, C, L]``: ``y_t = W * x_t``, plus the bias at the first step.

    Arguments as ``torch.nn.Conv1d``; unbatched steps (``[T, C, L]``) as there.

    Raises:
        InputError: the channels are not ``in_channels``.
    """

    counterparts = (nn.Conv1d,)
    spatial = 1


class TDConv2d(_TDConv, nn.Conv2d):
    """TD convolution of ``[T, B, C, H, W]``: ``y_t = W * x_t``, plus the bias at the first step.

    Arguments as ``torch.nn.Conv2d``; unbatched steps (``[T, C, H, W]``) as there.

    Raises:
        InputError: the channels are not ``in_channels``.
    """

    counterparts = (nn.Conv2d,)
    spatial = 2


class TDConv3d(_TDConv, nn.Conv3d):
    """TD convolution of ``[T, B, C, D, H, W]``: ``y_t = W * x_t``, plus the bias at the first step.

    Arguments as ``torch.nn.Conv3d``; unbatched steps (``[T, C, D, H, W]``) as there.

    Raises:
        InputError: the channels are not ``in_channels``.
    """

    counterparts = (nn.Conv3d,)
    spatial = 3
