"""Example inputs of the model types whose names alone do not say what they take."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from snnconvert.sources.hf_tiny.makers import (
    BATCH,
    LENGTH,
    Context,
    Maker,
    boxes,
    features,
    image_size,
    ones,
    pixels,
    token_ids,
    waveform,
)
from snnconvert.sources.hf_tiny.shrink import WIDTH

Makers = Mapping[str, Maker]


def spectrogram_image(context: Context) -> torch.Tensor:
    return context.normal(1, context.find("spec_size"), context.find("num_mel_bins"))


def history(context: Context) -> int:
    """How far back a forecaster looks: its context and its longest lag."""
    return int(context.config.context_length + max(context.config.lags_sequence))


def image_and_text_ids(context: Context) -> torch.Tensor:
    """As many image tokens as the model makes of an image, then text."""
    count = context.find("num_query_tokens")
    marks = torch.full((BATCH, count), context.config.image_token_index)
    return torch.cat([marks, token_ids(context)], dim=1)


def padded_mask(context: Context) -> torch.Tensor:
    """The last token of the second sample is padding; an all-true mask is dropped in eager mode
    by some models, and not in a trace, with different results."""
    mask = ones(LENGTH)
    mask[1, -1] = 0
    return mask


def flat_patches(context: Context) -> torch.Tensor:
    """Pix2Struct's patches: row and column in front of the pixels."""
    size = context.find("patch_embed_hidden_size")
    position = torch.arange(1, LENGTH + 1, dtype=torch.float32).expand(BATCH, -1).unsqueeze(-1)
    return torch.cat([position, position, context.normal(LENGTH, size)], dim=-1)


def stacked_ids(context: Context) -> torch.Tensor:
    """One row of token ids per codebook."""
    return context.integers(1, 64, context.find("num_codebooks"), LENGTH)


_FORECASTER: Makers = {
    "past_values": lambda c: c.normal(history(c)),
    "past_time_features": lambda c: c.normal(history(c), c.config.num_time_features),
    "past_observed_mask": lambda c: torch.ones(BATCH, history(c)),
    "future_values": lambda c: c.normal(c.config.prediction_length),
    "future_time_features": lambda c: c.normal(
        c.config.prediction_length, c.config.num_time_features
    ),
}
_PACKED_PATCHES: Makers = {
    "pixel_values": lambda c: c.normal(16, 3 * c.find("patch_size") ** 2),
    "pixel_attention_mask": lambda c: ones(16),
    "spatial_shapes": lambda c: torch.full((BATCH, 2), 4),
}
_TILES: Makers = {
    "pixel_values": lambda c: c.normal(1, 4, 3, *image_size(c)),
    "aspect_ratio_ids": lambda c: torch.full((BATCH, 1), 6),
    "aspect_ratio_mask": lambda c: torch.ones(BATCH, 1, 4, dtype=torch.int64),
}
_CODES: Makers = {"input_ids": lambda c: c.integers(1, 64, LENGTH, c.find("num_codebooks") + 1)}

# All inputs of a type.
REPLACED: dict[str, Makers] = {
    **dict.fromkeys(("autoformer", "informer", "time_series_transformer"), _FORECASTER),
    "audio-spectrogram-transformer": {
        "input_values": lambda c: c.normal(c.config.max_length, c.config.num_mel_bins)
    },
    "blip_2_qformer": {
        "query_embeds": lambda c: c.normal(6, WIDTH),
        "encoder_hidden_states": lambda c: c.normal(LENGTH, WIDTH),
    },
    "bridgetower_vision_model": {"image": pixels},
    "clap_audio_model": {"input_features": spectrogram_image},
    "clvp": {
        "input_ids": token_ids,
        "input_features": lambda c: c.normal(c.find("feature_size"), 32),
    },
    "decision_transformer": {
        "states": lambda c: c.normal(LENGTH, c.config.state_dim),
        "actions": lambda c: c.normal(LENGTH, c.config.act_dim),
        "rewards": lambda c: c.normal(LENGTH, 1),
        "returns_to_go": lambda c: c.normal(LENGTH, 1),
        "timesteps": lambda c: torch.arange(LENGTH).expand(BATCH, -1).contiguous(),
        "attention_mask": lambda c: ones(LENGTH),
    },
    "dia_decoder": {
        "input_ids": lambda c: c.integers(1, 64, LENGTH, c.find("num_channels")),
        "encoder_hidden_states": lambda c: c.normal(LENGTH, WIDTH),
    },
    "t5gemma2_decoder": {
        "input_ids": token_ids,
        "attention_mask": lambda c: ones(LENGTH),
        "encoder_hidden_states": lambda c: c.normal(LENGTH, WIDTH),
    },
    "dia": {
        "input_ids": token_ids,
        "decoder_input_ids": lambda c: c.integers(1, 64, LENGTH, c.find("num_channels")),
    },
    "florence_vision": {"hidden_states": pixels},
    "granite_speech_encoder": {"hidden_states": features},
    "granite_speech_plus_encoder": {"hidden_states": features},
    "idefics": {
        "input_ids": token_ids,
        "attention_mask": lambda c: ones(LENGTH),
        "pixel_values": lambda c: pixels(c).unsqueeze(1),
        "image_attention_mask": lambda c: torch.ones(BATCH, LENGTH, 1, dtype=torch.int64),
    },
    "idefics2_perceiver": {
        "context": lambda c: c.normal(LENGTH, WIDTH),
        "attention_mask": lambda c: ones(LENGTH),
    },
    "glmasr_encoder": {"input_features": lambda c: c.normal(c.find("num_mel_bins"), 64)},
    "voxtral_realtime_encoder": {"input_features": lambda c: c.normal(c.find("num_mel_bins"), 64)},
    "inkling_audio": {"audio_input_ids": lambda c: c.integers(0, 8, LENGTH, 8)},
    "kyutai_speech_to_text": _CODES,
    "lightglue": {"pixel_values": lambda c: c.normal(2, 3, 64, 64)},
    "superglue": {"pixel_values": lambda c: c.normal(2, 3, 64, 64)},
    "lw_detr_vit": {"hidden_states": pixels},
    "musicgen_decoder": {"input_ids": stacked_ids},
    "musicgen_melody_decoder": {"input_ids": stacked_ids},
    "patchtst": {"past_values": lambda c: c.normal(c.config.context_length, 1)},
    "patchtsmixer": {"past_values": lambda c: c.normal(c.config.context_length, 1)},
    "perceiver": {"inputs": lambda c: c.normal(LENGTH, c.config.d_model)},
    "pix2struct": {
        "flattened_patches": flat_patches,
        "attention_mask": lambda c: ones(LENGTH),
        "decoder_input_ids": token_ids,
    },
    "pix2struct_vision_model": {
        "flattened_patches": flat_patches,
        "attention_mask": lambda c: ones(LENGTH),
    },
    "pp_ocrv5_mobile_det": {"hidden_states": pixels},
    "pp_ocrv5_mobile_rec": {"pixel_values": lambda c: c.normal(3, 48, 64)},
    "pp_formulanet": {"pixel_values": pixels, "decoder_input_ids": token_ids},
    "qwen2_5_omni_bigvgan": {"mel_spectrogram": lambda c: c.normal(c.config.mel_dim, LENGTH)},
    "seggpt": {"pixel_values": pixels, "prompt_pixel_values": pixels, "prompt_masks": pixels},
    "siglip2_vision_model": _PACKED_PATCHES,
    "slanext": {"hidden_states": pixels},
    "speech-encoder-decoder": {
        "input_values": lambda c: c.normal(4000),
        "decoder_input_ids": token_ids,
    },
    "speecht5": {"input_values": lambda c: c.normal(4000), "decoder_input_ids": token_ids},
    "timesfm": {
        "past_values": lambda c: c.normal(c.config.context_length),
        "past_values_padding": lambda c: torch.zeros(BATCH, c.config.context_length),
        "freq": lambda c: torch.zeros(BATCH, 1, dtype=torch.int64),
    },
    "timesfm2_5": {
        "past_values": lambda c: c.normal(c.config.context_length),
        "past_values_padding": lambda c: torch.zeros(BATCH, c.config.context_length),
    },
    "vit_mae": {"pixel_values": pixels, "noise": lambda c: c.uniform(16)},
    "wav2vec2-bert": {"input_features": features},
    "xclip_vision_model": {"pixel_values": lambda c: pixels(c).flatten(0, 1)},
    "xcodec": {"input_values": waveform},
}

# Inputs beside, or in place of, those that the signature names.
_BOOTSTRAPPED: Makers = {
    "pixel_values": pixels,
    "input_ids": image_and_text_ids,
    "attention_mask": lambda c: ones(LENGTH + c.find("num_query_tokens")),
}
REPLACED |= {
    "blip-2": _BOOTSTRAPPED,
    "instructblip": {
        **_BOOTSTRAPPED,
        "qformer_input_ids": token_ids,
        "qformer_attention_mask": lambda c: ones(LENGTH),
    },
    "kosmos-2": {
        "pixel_values": pixels,
        "input_ids": token_ids,
        "attention_mask": lambda c: ones(LENGTH),
        "image_embeds_position_mask": lambda c: (
            (torch.arange(LENGTH) < 4).expand(BATCH, -1).contiguous()
        ),
    },
    "mllama_vision_model": _TILES,
}
ADDED: dict[str, Makers] = {
    "aimv2": {"attention_mask": padded_mask},
    "aimv2_text_model": {"attention_mask": padded_mask},
    "clap": {"input_features": spectrogram_image},
    "mllama": _TILES,
    "paligemma": {"attention_mask": padded_mask},
    "oneformer": {"task_inputs": lambda c: c.integers(1, 100, c.config.task_seq_len)},
    "lxmert": {
        "visual_feats": lambda c: c.normal(4, c.config.visual_feat_dim),
        "visual_pos": lambda c: c.uniform(4, 4),
    },
    "musicgen": {"decoder_input_ids": stacked_ids},
    "musicgen_melody": {"decoder_input_ids": stacked_ids},
    "siglip2": _PACKED_PATCHES,
    "udop": {"bbox": lambda c: boxes(c) / 16},
}
