"""Which operators are taken apart, by name or op kind: each by a function of a file of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from snnconvert.converter.spikes.apart.attention import (
    take_attention_apart,
    take_attention_wholly_apart,
    work_of_attention,
)
from snnconvert.converter.spikes.apart.chain import take_chain_apart, work_of_chain
from snnconvert.converter.spikes.apart.contraction import (
    has_computed_weights,
    has_several_products,
    take_bilinear_apart,
    take_einsum_apart,
)
from snnconvert.converter.spikes.apart.cross import take_cross_apart
from snnconvert.converter.spikes.apart.division import take_addcdiv_apart, take_division_apart
from snnconvert.converter.spikes.apart.gating import take_glu_apart, take_lerp_apart
from snnconvert.converter.spikes.apart.losses import (
    take_absolute_error_apart,
    take_huber_apart,
    take_squared_error_apart,
)
from snnconvert.converter.spikes.apart.norms import (
    take_batch_norm_apart,
    take_group_norm_apart,
    take_instance_norm_apart,
    take_layer_norm_apart,
    take_rms_norm_apart,
)
from snnconvert.converter.spikes.apart.part import TakeApart
from snnconvert.converter.spikes.apart.polar import (
    take_angle_apart,
    take_atan2_apart,
    take_hypot_apart,
    take_magnitude_apart,
)
from snnconvert.converter.spikes.apart.powers import (
    is_product,
    take_power_apart,
)
from snnconvert.converter.spikes.apart.prefixes import (
    take_cumprod_apart,
    take_logcumsumexp_apart,
)
from snnconvert.converter.spikes.apart.products import take_prod_apart
from snnconvert.converter.spikes.apart.rectifiers import take_clip_apart, take_prelu_apart
from snnconvert.converter.spikes.apart.recurrence import take_recurrence_apart, work_of_recurrence
from snnconvert.converter.spikes.apart.sampling import take_sampling_apart
from snnconvert.converter.spikes.apart.selection import is_selection, take_selection_apart
from snnconvert.converter.spikes.apart.similarity import take_cosine_apart, take_distance_apart
from snnconvert.converter.spikes.apart.softmax import (
    take_log_softmax_apart,
    take_logaddexp_apart,
    take_logsumexp_apart,
    take_softmax_apart,
)
from snnconvert.converter.spikes.apart.spectra import take_istft_apart, take_stft_apart
from snnconvert.converter.spikes.apart.spread import take_norm_apart, take_variance_apart
from snnconvert.ops.kinds import kind_of, operator_name


@dataclass(frozen=True)
class Taking:
    """How an operator is taken apart.

    Attributes:
        wholly: into maps, products and targets, so that nothing of it need stay in floats.
        into_maps: into maps and products, with functions as they are; None for an operator that
            is no map, nor product, nor has any that a source's work is counted by.
        work: the multiply-accumulates of the whole operator, by values of its arguments; None
            where a source's work does not count it.
        holds: whether a call has maps or products inside, by its arguments.
        of_complex: whether complex numbers are taken apart too.
    """

    wholly: TakeApart
    into_maps: TakeApart | None = None
    work: Callable[[Mapping[str, Any]], float] | None = None
    holds: Callable[[Mapping[str, Any]], bool] = lambda given: True
    of_complex: bool = False


_RECURRENCE = Taking(take_recurrence_apart, take_recurrence_apart, work_of_recurrence)
_BILINEAR = Taking(take_bilinear_apart, take_bilinear_apart, holds=has_computed_weights)
_CROSS = Taking(take_cross_apart, take_cross_apart)
_CHAIN = Taking(take_chain_apart, take_chain_apart, work_of_chain)
APART: Mapping[str, Taking] = MappingProxyType(
    {
        "_trilinear": _BILINEAR,
        "abs": Taking(take_magnitude_apart, of_complex=True),
        "addcdiv": Taking(take_addcdiv_apart),
        "angle": Taking(take_angle_apart, of_complex=True),
        "arctan2": Taking(take_atan2_apart),
        "atan2": Taking(take_atan2_apart),
        "batch_norm": Taking(take_batch_norm_apart),
        "bilinear": _BILINEAR,
        "chain_matmul": _CHAIN,
        "clip": Taking(take_clip_apart),
        "cosine_similarity": Taking(take_cosine_apart),
        "cross": _CROSS,
        "cumprod": Taking(take_cumprod_apart, take_cumprod_apart),
        "div": Taking(take_division_apart),
        "einsum": Taking(take_einsum_apart, take_einsum_apart, holds=has_several_products),
        "floor_divide": Taking(take_division_apart),
        "glu": Taking(take_glu_apart),
        "grid_sampler": Taking(take_sampling_apart),
        "group_norm": Taking(take_group_norm_apart),
        "gru": _RECURRENCE,
        "huber_loss": Taking(take_huber_apart),
        "hypot": Taking(take_hypot_apart),
        "instance_norm": Taking(take_instance_norm_apart),
        "l1_loss": Taking(take_absolute_error_apart),
        "layer_norm": Taking(take_layer_norm_apart),
        "lerp": Taking(take_lerp_apart),
        "istft": Taking(take_istft_apart, take_istft_apart, of_complex=True),
        "linalg_cross": _CROSS,
        "linalg_multi_dot": _CHAIN,
        "linalg_norm": Taking(take_norm_apart),
        "linalg_vector_norm": Taking(take_norm_apart),
        "log_softmax": Taking(take_log_softmax_apart),
        "logaddexp": Taking(take_logaddexp_apart),
        "logaddexp2": Taking(take_logaddexp_apart),
        "logcumsumexp": Taking(take_logcumsumexp_apart),
        "logsumexp": Taking(take_logsumexp_apart),
        "lstm": _RECURRENCE,
        "mse_loss": Taking(take_squared_error_apart, take_squared_error_apart),
        "mul": Taking(take_selection_apart, take_selection_apart, holds=is_selection),
        "pairwise_distance": Taking(take_distance_apart),
        "pow": Taking(take_power_apart, take_power_apart, holds=is_product),
        "prelu": Taking(take_prelu_apart),
        "prod": Taking(take_prod_apart, take_prod_apart),
        "rms_norm": Taking(take_rms_norm_apart),
        "rnn": _RECURRENCE,
        "scaled_dot_product_attention": Taking(
            take_attention_wholly_apart, take_attention_apart, work_of_attention
        ),
        "smooth_l1_loss": Taking(take_huber_apart),
        "softmax": Taking(take_softmax_apart),
        "square": Taking(take_power_apart, take_power_apart),
        "std": Taking(take_variance_apart),
        "std_mean": Taking(take_variance_apart),
        "stft": Taking(take_stft_apart, take_stft_apart, of_complex=True),
        "var": Taking(take_variance_apart),
        "var_mean": Taking(take_variance_apart),
    }
)


def apart_of(operator: Any) -> Taking | None:
    """Return how an operator is taken apart; None where it stays whole."""
    return APART.get(operator_name(operator)) or APART.get(kind_of(operator).name)


def holds_maps(operator: Any, arguments: Mapping[str, Any]) -> bool:
    """Tell whether a call is of maps or products that it can be taken apart into."""
    taking = apart_of(operator)
    return taking is not None and taking.into_maps is not None and taking.holds(arguments)
