"""What the generic rules get wrong, per model type: configuration fields, classes, inputs."""

from __future__ import annotations

from typing import Any

_MROPE = {
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 10000.0,
        "mrope_section": [2, 3, 3],
        "mrope_interleaved": True,
    }
}
_SERIES = {"prediction_length": 4, "context_length": 8, "num_time_features": 2}
_EFFICIENTNET = {
    "width_coefficient": 0.1,
    "depth_coefficient": 1.0,
    "hidden_dim": 128,
    "num_block_repeats": [1, 1, 1, 1, 1, 1, 1],
}
_BRIDGETOWER = {"hidden_size": 64, "num_attention_heads": 2, "num_hidden_layers": 2}
_GRANITE = {"mamba_n_heads": 4, "mamba_d_head": 16}

# Fields laid over the shrunken configuration wherever a (sub)configuration has this type.
CONFIG: dict[str, dict[str, Any]] = {
    **dict.fromkeys(
        (
            "cosmos3_edge_text",
            "glm4v_text",
            "glm_image_text",
            "glm_ocr_text",
            "paddleocr_vl_text",
            "qwen2_5_omni_text",
            "qwen2_5_omni_talker",
            "qwen2_5_vl_text",
            "qwen2_vl_text",
            "qwen3_omni_moe_text",
        ),
        _MROPE,
    ),
    **dict.fromkeys(("autoformer", "informer", "time_series_transformer"), _SERIES),
    "align_vision_model": _EFFICIENTNET,
    "efficientnet": _EFFICIENTNET,
    "autoformer": {**_SERIES, "lags_sequence": [1, 2, 3, 4], "label_length": 2},
    "audio-spectrogram-transformer": {"max_length": 24, "frequency_stride": 4, "time_stride": 4},
    "bamba": _GRANITE,
    "granitemoehybrid": _GRANITE,
    "falcon_h1": {**_GRANITE, "mamba_d_ssm": 64},
    "bridgetower": _BRIDGETOWER,
    "bridgetower_text_model": _BRIDGETOWER,
    "bridgetower_vision_model": _BRIDGETOWER,
    "bros": {"hidden_size": 64},
    "clap_audio_model": {
        "spec_size": 64,
        "num_mel_bins": 32,
        "num_classes": 8,
        "patch_embeds_hidden_size": 16,
        "hidden_size": 128,
        "depths": (1, 1, 1, 1),
        "num_attention_heads": (1, 2, 4, 8),
    },
    "clvp_encoder": {"hidden_size": 64},
    "clvp_decoder": {"hidden_size": 64},
    "dbrx": {"attn_config": {"rope_theta": 10000.0, "kv_n_heads": 1, "clip_qkv": 8.0}},
    "dots1": {
        "num_experts_per_tok": 2,
        "n_group": 1,
        "topk_group": 1,
        "n_routed_experts": 4,
        "n_shared_experts": 1,
    },
    "gemma3n_text": {"num_kv_shared_layers": 0},
    "hunyuan_vl_text": _MROPE,
    "layoutlmv3": {"coordinate_size": 4, "shape_size": 8},
    "levit": {"patch_size": 16},
    "lilt": {"hidden_size": 48},
    "mimo_v2_flash": {"swa_num_key_value_heads": 2, "swa_num_attention_heads": 2},
    "patchtst": {"context_length": 16, "patch_length": 4, "patch_stride": 4},
    "patchtsmixer": {"context_length": 16, "patch_length": 4, "patch_stride": 4, "d_model": 16},
    "reformer": {
        "axial_pos_shape": (8, 8),
        "axial_pos_embds_dim": (16, 16),
        "hash_seed": 0,
        "attn_layers": ["local", "lsh"],
        "local_attn_chunk_length": 4,
        "lsh_attn_chunk_length": 4,
        "num_buckets": 2,
    },
    "sam": {"prompt_encoder_config": {"image_size": 32, "patch_size": 8}},
    "sam_hq": {
        "prompt_encoder_config": {"image_size": 32, "patch_size": 8},
        "mask_decoder_config": {"vit_dim": 32},
    },
    "sam_vision_model": {
        "num_pos_feats": 16,
        "global_attn_indexes": [1],
        "initializer_range": 0.02,
    },
    "sam_hq_vision_model": {
        "num_pos_feats": 16,
        "global_attn_indexes": [1],
        "initializer_range": 0.02,
    },
    "t5gemma2_text": {"dropout_rate": 0.0},
    "t5gemma2_decoder": {"dropout_rate": 0.0},
    "timesfm": {"patch_length": 4, "context_length": 16, "horizon_length": 4},
    "timesfm2_5": {"patch_length": 4, "context_length": 16, "horizon_length": 4},
    "tvp": {"visual_prompter_type": "framepad", "max_img_size": 64, "visual_prompt_size": 8},
    "videomae": {"num_frames": 4},
    "wav2vec2-bert": {"feature_projection_input_dim": 16},
    "xclip_vision_model": {"num_frames": 2, "mit_hidden_size": 32, "mit_num_hidden_layers": 1},
    "xmod": {"default_language": "en_XX"},
    "zamba": {
        "layers_block_type": ["linear_attention", "hybrid", "linear_attention", "hybrid"],
        "num_hidden_layers": 4,
        "attention_head_dim": 32,
    },
    "blip-2": {"image_token_index": 5, "num_query_tokens": 6},
    "instructblip": {"image_token_index": 5, "num_query_tokens": 6},
    "chameleon": {"vocabulary_map": {"<image>": 5}},
    "emu3": {"vocabulary_map": {"<image>": 5, "<|extra_200|>": 6}},
    "deepseek_ocr2_text": {"mlp_layer_types": ["dense", "sparse"]},
    "kosmos-2": {"latent_query_num": 4},
    "pix2struct_text_model": {"initializer_range": 0.02},
    "qwen2_5_omni_thinker": {"vision_start_token_id": 20},
    "qwen3_omni_moe_thinker": {"vision_start_token_id": 20},
    "shieldgemma2": {"yes_token_index": 7, "no_token_index": 9},
    "timm_backbone": {"backbone": "test_resnet"},
    "zoedepth": {"bottleneck_features": 32},
    "step3p5": {"sliding_window": 4},
    "sapiens2": {"num_key_value_attention_heads": 2},
    "textnet": {"stem_out_channels": 16},
    "bit": {"num_groups": 4},
    "dinov3_convnext": {"hidden_sizes": [16, 16, 32, 32], "depths": [1, 1, 1, 1]},
    "timm_wrapper": {"architecture": "test_resnet"},
    "csm_depth_decoder_model": {"num_codebooks": 16},
    "cvt": {"depth": (1, 2, 3)},
    "deepseek_v2": {"num_experts_per_tok": 2},
    "esm": {"vocab_size": 128, "pad_token_id": 1, "mask_token_id": 3},
    "glm4v_moe_text": {
        "rope_parameters": {
            **_MROPE["rope_parameters"],
            "partial_rotary_factor": 0.5,
            "mrope_section": [1, 1, 2],
        },
    },
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "gptj": {"rotary_dim": 8},
    "codegen": {"rotary_dim": 8, "n_head": 4},
    "longcat_flash": {"head_dim": 8, "zero_expert_num": 2, "expert_ffn_hidden_size": 32},
    "mllama_text_model": {"cross_attention_layers": [1]},
    "mllama_vision_model": {"intermediate_layers_indices": [0, 1], "vision_output_dim": 96},
    "mamba2": {"num_heads": 4},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    "mobilevit": {"hidden_sizes": [16, 24, 32]},
    "hgnet_v2": {
        "stem_channels": (3, 16, 16),
        "stage_in_channels": (16, 16, 32, 32),
        "stage_mid_channels": (16, 16, 16, 16),
        "stage_out_channels": (16, 32, 32, 32),
        "stage_num_blocks": (1, 1, 1, 1),
        "stage_numb_of_layers": (1, 1, 1, 1),
        "hidden_sizes": (16, 32, 32, 32),
    },
    "ernie4_5_vl_moe_text": {
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "mrope_section": [3, 3, 2],
        },
    },
}

# The class to build where the library's own mapping has none, or a less fitting one.
CLASSES: dict[str, str] = {
    "musicgen": "MusicgenForConditionalGeneration",
    "musicgen_melody": "MusicgenMelodyForConditionalGeneration",
    "speecht5": "SpeechT5ForSpeechToText",
}
