"""TD normalizations: the norm of the cumulative value, as increments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import Tensor, nn

from snnconvert.errors import ConversionError, InputError
from snnconvert.ops.sharing import put
from snnconvert.ops.temporal_difference import TDOperator
from snnconvert.torch_private import BatchNorm

if TYPE_CHECKING:
    from typing_extensions import Self


class _TDTrailingNorm(TDOperator):
    """What the norms over the last dimensions have in common: time is one more leading one."""

    normalized_shape: tuple[int, ...]

    def unroll(self, x: Tensor) -> Tensor:
        return self.cumulative(x)

    def check(self, x: Tensor) -> None:
        shape = tuple(self.normalized_shape)
        if tuple(x.shape[-len(shape) :]) != shape:
            trailing = ", ".join(map(str, shape))
            raise InputError(
                f"{type(self).__name__}: expected steps of shape [B, ..., {trailing}] "
                f"(normalized_shape={list(shape)}), received {list(x.shape)}; move the normalized "
                "dimensions to the end or use a norm of that shape"
            )


class TDLayerNorm(_TDTrailingNorm, nn.LayerNorm):
    """TD layer norm of ``[T, B, ..., *normalized_shape]``: ``y_t = LN(X_t) - LN(X_{t-1})``.

    Arguments as ``torch.nn.LayerNorm``. One call for all steps.

    Raises:
        InputError: the last dimensions are not ``normalized_shape``.
    """

    counterparts = (nn.LayerNorm,)

    def cumulative(self, x: Tensor) -> Tensor:
        """Return the layer norm of ``x``: ``[B, ..., *normalized_shape]``."""
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    @classmethod
    def from_call(
        cls,
        *,
        normalized_shape: Sequence[int],
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        eps: float = 1e-5,
        cudnn_enable: bool = True,
    ) -> Self:
        """Return the operator of ``aten.layer_norm`` (``cudnn_enable`` changes no value)."""
        operator = cls(list(normalized_shape), eps, elementwise_affine=False)
        operator.elementwise_affine = weight is not None
        put(operator, "weight", weight)
        put(operator, "bias", bias)
        return operator


class TDRMSNorm(_TDTrailingNorm, nn.RMSNorm):
    """TD RMS norm of ``[T, B, ..., *normalized_shape]``: ``y_t = RMS(X_t) - RMS(X_{t-1})``.

    Arguments as ``torch.nn.RMSNorm``. One call for all steps.

    Raises:
        InputError: the last dimensions are not ``normalized_shape``.
    """

    counterparts = (nn.RMSNorm,)

    def cumulative(self, x: Tensor) -> Tensor:
        """Return the RMS norm of ``x``: ``[B, ..., *normalized_shape]``."""
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    @classmethod
    def from_call(
        cls,
        *,
        normalized_shape: Sequence[int],
        weight: Tensor | None = None,
        eps: float | None = None,
    ) -> Self:
        """Return the operator of ``aten.rms_norm``."""
        operator = cls(list(normalized_shape), eps, elementwise_affine=False)
        operator.elementwise_affine = weight is not None
        put(operator, "weight", weight)
        return operator


class _TDChannelNorm(TDOperator):
    """What the norms over channels (dimension 1 of a step) have in common: time is folded."""

    def unroll(self, x: Tensor) -> Tensor:
        return self.cumulative(x.flatten(0, 1)).unflatten(0, x.shape[:2])

    def _check_channels(self, x: Tensor, channels: int, argument: str) -> None:
        if x.dim() < 2 or x.shape[1] != channels:
            raise InputError(
                f"{type(self).__name__}: expected steps of shape [B, {channels}, ...] "
                f"({argument}={channels}), received {list(x.shape)}; move the channels to "
                "dimension 1 of a step (2 of a sequence) or use a norm of that size"
            )


class TDBatchNorm(_TDChannelNorm, BatchNorm):
    """TD batch norm of ``[T, B, C]`` or ``[T, B, C, ...]`` with running statistics, always.

    ``y_t = BN(X_t) - BN(X_{t-1})``: a scale per channel, and its shift once, at the first step.
    Arguments as ``torch.nn.BatchNorm1d`` / ``2d`` / ``3d``, all of which it stands for. The
    statistics are never updated, in train mode neither. One call for all steps.

    Raises:
        InputError: there are no running statistics, or the channels are not ``num_features``.
    """

    counterparts = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype)
        self._check_statistics()

    def cumulative(self, x: Tensor) -> Tensor:
        """Return the batch norm of ``x``: ``[B, C]`` or ``[B, C, ...]``."""
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )

    def check(self, x: Tensor) -> None:
        self._check_channels(x, self.num_features, "num_features")

    def _check_statistics(self) -> None:
        if self.running_mean is None or self.running_var is None:
            raise InputError(
                "TDBatchNorm: a batch norm without running statistics depends on the other samples "
                "of the batch and is no function of one; expected track_running_stats=True"
            )

    @classmethod
    def from_ann(cls, module: nn.Module) -> Self:
        """Return the TD operator of a batch norm, sharing its Parameters and statistics."""
        operator = super().from_ann(module)
        operator._check_statistics()
        return operator

    @classmethod
    def from_call(
        cls,
        *,
        weight: Tensor | None,
        bias: Tensor | None,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        training: bool = False,
        momentum: float | None = 0.1,
        eps: float = 1e-5,
        cudnn_enabled: bool = True,
    ) -> Self:
        """Return the operator of ``aten.batch_norm`` (``cudnn_enabled`` changes no value)."""
        if training or running_mean is None or running_var is None:
            raise ConversionError(
                "TDBatchNorm: the batch norm uses the statistics of the batch (training="
                f"{training}); call model.eval(), and build it with track_running_stats=True"
            )
        operator = cls(running_mean.shape[0], eps, momentum, affine=False, device="meta")
        operator.affine = weight is not None
        tensors = {"weight": weight, "bias": bias}
        tensors |= {"running_mean": running_mean, "running_var": running_var}
        for name, value in tensors.items():
            put(operator, name, value)
        operator.num_batches_tracked = None  # no argument of the call, and a buffer without one too
        return operator


class TDGroupNorm(_TDChannelNorm, nn.GroupNorm):
    """TD group norm of ``[T, B, C, ...]``: ``y_t = GN(X_t) - GN(X_{t-1})``.

    Arguments as ``torch.nn.GroupNorm``. One call for all steps.

    Raises:
        InputError: the channels are not ``num_channels``.
    """

    counterparts = (nn.GroupNorm,)

    def cumulative(self, x: Tensor) -> Tensor:
        """Return the group norm of ``x``: ``[B, C, ...]``."""
        return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def check(self, x: Tensor) -> None:
        self._check_channels(x, self.num_channels, "num_channels")

    @classmethod
    def from_call(
        cls,
        *,
        num_groups: int,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        eps: float = 1e-5,
        cudnn_enabled: bool = True,
    ) -> Self:
        """Return the operator of ``aten.group_norm`` (``cudnn_enabled`` changes no value)."""
        scale = weight if weight is not None else bias
        if scale is None:
            raise ConversionError(
                "TDGroupNorm: without weight and bias the call does not tell the number of "
                "channels; use TemporalDifference"
            )
        operator = cls(num_groups, scale.shape[0], eps, affine=False)
        operator.affine = weight is not None
        put(operator, "weight", weight)
        put(operator, "bias", bias)
        return operator
