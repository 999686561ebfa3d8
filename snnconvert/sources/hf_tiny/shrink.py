"""How one field of a Hugging Face configuration shrinks, judged by its name and its value.

All widths become the same number, all head counts the same, and so on, so that the constraints
between fields (heads times head size, projections between towers, groups) hold by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

WIDTH = 32
HEADS = 2
HEAD_DIM = WIDTH // HEADS
FEED_FORWARD = 64
LAYERS = 2
VOCABULARY = 128
FIRST_TEXT_ID = 64  # special tokens live below, the words of example inputs at and above
POSITIONS = 64
EXPERTS = 4
ROPE_DIM = 8
PATCH = 8
STAGE_WIDTH = 16  # of the narrowest stage of a backbone
IMAGE = 64

Rule = Callable[[Any], Any]


def at_most(limit: int) -> Rule:
    """A rule that never grows a number, and that shrinks lists in proportion."""

    def apply(value: Any) -> Any:
        if isinstance(value, list | tuple):
            smallest = limit if len(set(map(repr, value))) == 1 else min(limit, STAGE_WIDTH)
            return type(value)(proportional(value, smallest))
        return min(value, limit) if is_number(value) else value

    return apply


def proportional(values: Any, smallest: int) -> list[Any]:
    """Scales a list so that its smallest entry becomes ``smallest``; the ratios stay."""
    numbers = [v for v in values if is_number(v) and v > 0]
    if not numbers or min(numbers) <= smallest:
        return list(values)
    factor = smallest / min(numbers)
    return [max(1, round(v * factor)) if is_number(v) and v > 0 else v for v in values]


def ratios(value: Any) -> Any:
    """Head counts: a list keeps its ratios from 1 up, a number becomes the common head count."""
    if isinstance(value, list | tuple):
        return type(value)(proportional(value, 1))
    return min(value, HEADS)


def stage_depths(value: Any) -> Any:
    """One block per stage, two in the first: a shifted or alternating block occurs once."""
    if isinstance(value, list | tuple):
        return type(value)(min(v, 2 if i == 0 else 1) for i, v in enumerate(value))
    return min(value, LAYERS)


def special_token(value: Any) -> Any:
    """A token id of a large vocabulary, folded below the ids of ordinary text."""
    if isinstance(value, list | tuple):
        return type(value)(special_token(v) for v in value)
    if not is_number(value) or value < 16:
        return value
    return 16 + value % (FIRST_TEXT_ID - 16)


def patch(value: Any) -> Any:
    """Patches of eight pixels at most, so that an image of 32 pixels has 16 of them."""
    if isinstance(value, list | tuple):
        return type(value)(patch(v) for v in value)
    return min(value, PATCH)


def image(value: Any) -> Any:
    """Large enough for the five halvings of a convolutional backbone."""
    if isinstance(value, list | tuple):
        return type(value)(image(v) for v in value)
    return min(value, IMAGE)


def constant(value: Any) -> Rule:
    return lambda _: value


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# The first pattern that matches the whole field name decides.
RULES: tuple[tuple[str, Rule], ...] = (
    (r"use_cache", constant(False)),
    (r".*(kernel_size|stride|padding|dilation).*", lambda v: v),
    (r"(n|num)_shared_experts|moe_num_shared_experts", at_most(1)),
    (r"(n_routed|num_local|moe_num|num)_experts", at_most(EXPERTS)),
    (r"num_experts_per_tok(en)?|top_k_experts|moe_k|moe_topk|moe_top_k", at_most(2)),
    (r"n_group|num_expert_group", at_most(2)),
    (r"topk_group", at_most(1)),
    (r"qk_head_dim", constant(2 * ROPE_DIM)),
    (r"qk_(nope|rope)_head_dim", at_most(ROPE_DIM)),
    (r".*(q|kv|o)_lora_rank", at_most(HEAD_DIM)),
    (r".*num_key_value_heads|.*num_kv_heads", at_most(HEADS)),
    (r"mamba_(n|num)_heads", at_most(WIDTH * 2 // HEAD_DIM)),
    (r"(mamba_)?n_?groups", at_most(2)),
    (r"linear_num_(key|value)_heads", at_most(HEADS)),
    (r".*(head_dim|dim_head|headdim|d_head|d_kv|head_size)", at_most(HEAD_DIM)),
    (r".*(heads|n_head|attention_heads)", ratios),
    (r"depths?|num_blocks|layers|num_block_repeats|(encoder_)?blocks_per_stage", stage_depths),
    (
        r"first_k_dense_replace|num_dense_layers|num_nextn_predict_layers|.*_layer_offset",
        at_most(1),
    ),
    (
        r".*(_layer_period|_sparse_step|_layer_interval|_n_layers)|_?sliding_window_pattern"
        r"|cross_attention_frequency",
        at_most(2),
    ),
    (r".*(layers?|layer_num|n_layer)", at_most(LAYERS)),
    (r"(?!type_)(.*_)?vocab_size(_per_layer_input)?", at_most(VOCABULARY)),
    (
        r".*(token_ids?|token_index|_pad_id|_eos_id|_bos_id|_start_id|_end_id|newline_id)",
        special_token,
    ),
    (
        r"(n_positions|max_.*positions?|max_position_embeddings|max_seq(uence)?_len(gth)?)",
        at_most(POSITIONS),
    ),
    (
        r".*(intermediate_size|ffn_dim|dim_feedforward|feedforward_dim|mlp_dim|d_ff|n_inner)"
        r"|ffn_hidden_size|.*intermediate_dim|dim_ff|feed_forward_size",
        at_most(FEED_FORWARD),
    ),
    (r"num_channels|in_channels|in_chans|audio_channels|out_channels|n_channels", lambda v: v),
    (
        r".*(hidden_size|hidden_sizes|hidden_dim|d_model|n_embd|embed_dim|emb_dim|embedding_size"
        r"|embedding_dim|projection_dim|output_dim|_channels|embed_dims|projection_size"
        r"|pooler_output_size|out_dim|conv_dim|latent_dim|classifier_proj_size)|dim|channels",
        at_most(WIDTH),
    ),
    (r"(upsample|decoder)_(initial|start)_channels?|d_latents", at_most(64)),
    (r"num_filters|n_filters", at_most(8)),
    (r"num_quantizers|num_codebooks", at_most(8)),
    (r"num_self_attends_per_block", at_most(2)),
    (r"num_conv_pos_embedding_groups", at_most(4)),
    (r"num_conv_pos_embeddings", at_most(16)),
    (r"(sliding_window|.*attention_window(_size)?|attention_chunk_size|context_size)", at_most(4)),
    (r"(mamba_)?chunk_size", at_most(4)),
    (r"num_queries|num_query_tokens|num_latents|resampler_num_latents", at_most(6)),
    (r"num_mel_bins", at_most(16)),
    (r"feature_size|mask_feature_size|upsample_groups|num_pos_feats", at_most(WIDTH)),
    (r".*state_size|mamba_d_state|state_dim", at_most(8)),
    (r"time_step_rank|mamba_dt_rank", at_most(4)),
    (r"codebook_size|num_embeddings", at_most(64)),
    (r"num_frames|frames_per_clip", at_most(4)),
    (r"window_size", at_most(2)),
    (r"(temporal_)?patch_size", patch),
    (r"(pretrain_|max_|min_)?image_size", image),
)
_COMPILED = tuple((re.compile(pattern), rule) for pattern, rule in RULES)


def shrink_field(name: str, value: Any) -> Any:
    """The tiny value of one configuration field."""
    if value is None or isinstance(value, str):
        return value
    if name.startswith("rope_") and isinstance(value, Mapping):
        return shrink_rope(value)
    if isinstance(value, bool) and name != "use_cache":
        return value
    for pattern, rule in _COMPILED:
        if pattern.fullmatch(name):
            return rule(value)
    return value


def shrink_rope(value: Mapping[str, Any]) -> dict[str, Any]:
    """Rotary parameters: the sections of a multimodal rope must sum to half the head size."""
    out: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, Mapping):
            out[key] = shrink_rope(item)
        elif key == "mrope_section":
            out[key] = [2, 3, 3]
        elif key == "original_max_position_embeddings":
            out[key] = min(item, POSITIONS)
        else:
            out[key] = item
    return out
