"""The operators that an exported program may call: by name, what is not here is refused.

Each computes its result from its arguments, within their memory: none opens files, changes the
storage of a tensor, believes indices or strides without checking them, or is for training or for
formats (sparse, quantised, nested) whose invariants a file could break. Those that believe sizes
are checked where they are called (``call_checks``). Writing forms (``relu_``) go with the operators
that they are the forms of.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch

from snnconvert.sources.importing import import_installed, import_named
from snnconvert.torch_private import OpOverload, is_dispatched, schema_of
from snnconvert.wording import shown


def _named(names: str, prefix: str = "") -> frozenset[str]:
    return frozenset(prefix + name for name in names.split())


ATEN = _named(
    """
    abs absolute acos acosh adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
    adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d add addbmm addcdiv addcmul addmm
    addmv addr adjoint affine_grid_generator alias alias_copy all allclose alpha_dropout amax amin
    aminmax angle any arange arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin
    argsort argwhere as_strided as_strided_copy as_strided_scatter asin asinh atan atan2 atanh
    atleast_1d atleast_2d atleast_3d avg_pool1d avg_pool2d avg_pool3d baddbmm bartlett_window
    batch_norm bernoulli bilinear binary_cross_entropy binary_cross_entropy_with_logits bincount
    bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor
    blackman_window block_diag bmm broadcast_tensors broadcast_to bucketize cartesian_prod cat
    cauchy cdist ceil celu chain_matmul chalf channel_shuffle cholesky_inverse cholesky_solve chunk
    clamp clamp_max clamp_min clip clone col2im column_stack combinations complex concat concatenate
    conj conj_physical constant_pad_nd contiguous conv1d conv2d conv3d conv_depthwise3d conv_tbc
    conv_transpose1d conv_transpose2d conv_transpose3d convolution copy copysign corrcoef cos cosh
    cosine_embedding_loss cosine_similarity count_nonzero cov cross cross_entropy_loss cummax cummin
    cumprod cumsum cumulative_trapezoid deg2rad det detach detach_copy diag diag_embed diagflat
    diagonal diagonal_copy diagonal_scatter diff digamma dim dist div divide dot dropout dsplit
    dstack einsum elu embedding embedding_bag empty empty_like empty_permuted empty_strided eq equal
    erf erfc erfinv exp exp2 expand expand_as expand_copy expm1 exponential eye
    fake_quantize_per_channel_affine fake_quantize_per_tensor_affine feature_alpha_dropout
    feature_dropout fft_fft fft_fft2 fft_fftfreq fft_fftn fft_fftshift fft_hfft fft_hfft2 fft_hfftn
    fft_ifft fft_ifft2 fft_ifftn fft_ifftshift fft_ihfft fft_ihfft2 fft_ihfftn fft_irfft fft_irfft2
    fft_irfftn fft_rfft fft_rfft2 fft_rfftfreq fft_rfftn fill fill_diagonal_ fix flatten flip fliplr
    flipud float_power floor floor_divide fmax fmin fmod frac frexp frobenius_norm full full_like
    gather gcd ge gelu geometric ger glu gradient greater greater_equal grid_sampler grid_sampler_2d
    grid_sampler_3d group_norm gru gru_cell gt hamming_window hann_window hardshrink hardsigmoid
    hardswish hardtanh heaviside hinge_embedding_loss histc histogram hsplit hstack huber_loss hypot
    i0 igamma igammac im2col imag index index_add index_copy index_fill index_put index_reduce
    index_select inner instance_norm inverse is_complex is_conj is_contiguous is_floating_point
    is_neg is_nonzero is_signed isclose isfinite isin isinf isnan isneginf isposinf isreal istft
    item kaiser_window kl_div kron kthvalue l1_loss layer_norm ldexp le leaky_relu lerp less
    less_equal lgamma lift lift_fresh lift_fresh_copy linalg_cholesky linalg_cholesky_ex linalg_cond
    linalg_cross linalg_det linalg_diagonal linalg_eig linalg_eigh linalg_eigvalsh
    linalg_householder_product linalg_inv linalg_inv_ex linalg_lu linalg_lu_factor
    linalg_lu_factor_ex linalg_matmul linalg_matrix_exp linalg_matrix_norm linalg_matrix_power
    linalg_matrix_rank linalg_multi_dot linalg_norm linalg_pinv linalg_polar linalg_qr
    linalg_slogdet linalg_solve linalg_solve_ex linalg_solve_triangular linalg_svd linalg_svdvals
    linalg_tensorinv linalg_tensorsolve linalg_vander linalg_vecdot linalg_vector_norm linear
    linspace log log10 log1p log2 log_normal log_sigmoid log_sigmoid_forward log_softmax logaddexp
    logaddexp2 logcumsumexp logdet logical_and logical_not logical_or logical_xor logit logspace
    logsumexp lstm lstm_cell lt mH mT margin_ranking_loss masked_fill masked_scatter masked_select
    matmul matrix_H matrix_exp matrix_power max max_pool1d max_pool1d_with_indices max_pool2d
    max_pool2d_with_indices max_pool3d max_pool3d_with_indices max_unpool2d max_unpool3d maximum
    mean median meshgrid min minimum mish mm mode moveaxis movedim mse_loss msort mul
    multi_margin_loss multilabel_margin_loss multilabel_margin_loss_forward multinomial multiply mv
    mvlgamma nan_to_num nanmean nanmedian nanquantile nansum narrow narrow_copy native_batch_norm
    native_channel_shuffle native_dropout native_group_norm native_layer_norm native_norm ne neg
    negative new_empty new_empty_strided new_full new_ones new_zeros nextafter nll_loss nll_loss2d
    nll_loss2d_forward nll_loss_forward nll_loss_nd nonzero nonzero_numpy nonzero_static norm
    norm_except_dim normal normal_functional not_equal nuclear_norm numel numpy_T one_hot ones
    ones_like outer pad pad_sequence pairwise_distance pdist permute permute_copy pinverse
    pixel_shuffle pixel_unshuffle poisson poisson_nll_loss polar polygamma positive pow prelu prod
    put quantile rad2deg rand rand_like randint randint_like randn randn_like random randperm range
    ravel real reciprocal reflection_pad1d reflection_pad2d reflection_pad3d relu relu6 remainder
    renorm repeat repeat_interleave replication_pad1d replication_pad2d replication_pad3d reshape
    reshape_as resolve_conj resolve_neg rms_norm rnn_relu rnn_relu_cell rnn_tanh rnn_tanh_cell roll
    rot90 round row_stack rrelu rsqrt rsub scalar_tensor scaled_dot_product_attention scatter
    scatter_add scatter_reduce searchsorted select select_copy select_scatter selu sgn sigmoid sign
    signbit silu sin sinc sinh size slice slice_copy slice_scatter slogdet smooth_l1_loss
    soft_margin_loss softmax softplus softshrink sort special_airy_ai special_bessel_j0
    special_bessel_j1 special_bessel_y0 special_bessel_y1 special_digamma special_entr special_erf
    special_erfc special_erfcx special_erfinv special_exp2 special_expit special_expm1
    special_gammainc special_gammaincc special_gammaln special_i0 special_i0e special_i1 special_i1e
    special_log1p special_log_ndtr special_log_softmax special_logit special_logsumexp
    special_modified_bessel_i0 special_modified_bessel_i1 special_modified_bessel_k0
    special_modified_bessel_k1 special_multigammaln special_ndtr special_ndtri special_polygamma
    special_psi special_round special_scaled_modified_bessel_k0 special_scaled_modified_bessel_k1
    special_sinc special_softmax special_spherical_bessel_j0 special_xlog1py special_xlogy
    special_zeta split split_copy split_with_sizes split_with_sizes_copy sqrt square squeeze
    squeeze_copy stack std std_mean stft storage_offset stride sub subtract sum sum_to_size svd
    swapaxes swapdims sym_constrain_range sym_constrain_range_for_size sym_is_contiguous sym_numel
    sym_size sym_storage_offset sym_stride t t_copy take take_along_dim tan tanh tensor_split
    tensordot threshold tile to topk trace transpose transpose_copy trapezoid trapz tril
    tril_indices triplet_margin_loss triu triu_indices true_divide trunc type_as unbind unbind_copy
    unflatten unfold unfold_copy uniform unique_consecutive unique_dim unique_dim_consecutive
    unsafe_chunk unsafe_split unsafe_split_with_sizes unsqueeze unsqueeze_copy upsample_bicubic2d
    upsample_bilinear2d upsample_linear1d upsample_nearest1d upsample_nearest2d upsample_nearest3d
    upsample_trilinear3d vander var var_mean vdot view view_as view_as_complex view_as_complex_copy
    view_as_real view_as_real_copy view_copy vsplit vstack where xlogy zero zeros zeros_like

    __and__ __iand__ __ilshift__ __ior__ __irshift__ __ixor__ __lshift__ __or__ __rshift__ __xor__
    _adaptive_avg_pool2d _adaptive_avg_pool3d _assert_async _assert_scalar _assert_tensor_metadata
    _autocast_to_full_precision _autocast_to_reduced_precision _cdist_forward _conj _conj_copy
    _conj_physical _conv_depthwise2d _convolution _embedding_bag _embedding_bag_forward_only
    _euclidean_dist _fft_c2c _fft_c2r _fft_r2c _functional_assert_async _functional_assert_scalar
    _functional_sym_constrain_range _functional_sym_constrain_range_for_size _fused_rms_norm
    _grouped_mm _int_mm _is_all_true _is_any_true _linalg_check_errors _linalg_det _linalg_eigh
    _linalg_slogdet _linalg_solve_ex _linalg_svd _local_scalar_dense _log_softmax _logcumsumexp
    _native_batch_norm_legit _native_batch_norm_legit_no_training _neg_view _neg_view_copy
    _pad_circular _pad_enum _pdist_forward _prelu_kernel _reshape_copy _safe_softmax
    _scaled_dot_product_attention_math _scaled_dot_product_cudnn_attention
    _scaled_dot_product_efficient_attention _scaled_dot_product_flash_attention
    _scaled_dot_product_flash_attention_for_cpu _shape_as_tensor _softmax _to_copy _trilinear
    _unique _unique2 _unsafe_index _unsafe_view _upsample_bicubic2d_aa _upsample_bilinear2d_aa
    _upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d _weight_norm
    """
)
# Their numbers of outputs or steps are values of tensors, or are not checked.
REFUSED_OVERLOADS = frozenset(
    {
        "gru.data",
        "lstm.data",
        "rnn_relu.data",
        "rnn_tanh.data",
        "tensor_split.tensor_indices_or_sections",
    }
)
PRIMS = _named(
    "abs add amax amin broadcast_in_dim cat ceil clone collapse convert_element_type cos "
    "device_put div empty_strided eq erf exp floor full ge gt iota le log lt maximum minimum mul "
    "ne neg pow prod reciprocal reshape rev round rsqrt sign sin split_dim sqrt squeeze sub sum "
    "tanh transpose trunc uniform var view_of where"
)
# The operators of each library, and the module that registers them.
LIBRARIES: Mapping[str, tuple[frozenset[str], str]] = {
    "aten": (ATEN, "torch"),
    "prims": (PRIMS, "torch"),
    "torchvision": (_named("nms"), "torchvision"),
    "transformers": (_named("grouped_mm_fallback"), "transformers.integrations.moe"),
}
HIGHER_ORDER = _named(
    "associative_scan cond flex_attention invoke_subgraph map_impl scan wrap "
    "wrap_with_autocast wrap_with_set_grad_enabled"
)
PYTHON_OPERATORS = (
    _named(
        "abs add and_ eq floordiv ge getitem gt index invert le lt mod mul ne neg not_ or_ pos "
        "pow sub truediv xor",
        "_operator.",
    )
    | _named("ceil exp floor log log2 sqrt trunc", "math.")
    | _named("constrain_range float fresh_size int ite max min not sqrt sum", "torch.sym_")
    | _named("log2 sqrt", "torch._sym_")
)
_OPERATOR = re.compile(r"torch\.ops\.([A-Za-z]\w*)\.([A-Za-z_]\w*)(?:\.([A-Za-z_]\w*))?", re.ASCII)


def operator_problem(name: str, packages: tuple[str, ...]) -> str:
    """Why a program may not call the operator ``name``; empty where it may.

    Arguments:
        name: as it stands in the program, ``torch.ops.aten.relu.default``.
        packages: packages whose operator libraries are accepted whole.
    """
    if name in PYTHON_OPERATORS:
        return ""
    match = _OPERATOR.fullmatch(name)
    if match is None:
        return f"{shown(name)} is not an operator of torch.ops"
    library, packet, overload = match.groups()
    if library == "higher_order":
        known = packet in HIGHER_ORDER and overload is None
        return "" if known else f"{shown(name)} is not an accepted higher-order operator"
    if library in packages:
        return _registered_problem(name, library, None)
    if library not in LIBRARIES:
        return f"{shown(name)} is of the operator library {library!r}, which is not accepted"
    accepted, module = LIBRARIES[library]
    if packet not in accepted and packet.removesuffix("_") not in accepted:
        return f"{shown(name)} is not among the operators that a program may call"
    if library == "aten" and f"{packet}.{overload}" in REFUSED_OVERLOADS:
        return f"{shown(name)} is not among the operators that a program may call"
    return _registered_problem(name, library, module)


def _registered_problem(name: str, library: str, module: str | None) -> str:
    """Why an operator is not registered as one that returns its results; empty where it is."""
    _, _, _, packet, *overload = name.split(".")
    overload = overload or ["default"]
    operator = None if module else _registered(library, packet, *overload)
    try:
        if operator is None:
            import_named(library) if module is None else import_installed(module)
            operator = _registered(library, packet, *overload)
    except (ImportError, RuntimeError):
        operator = None
    if operator is None:
        return f"{shown(name)} is not registered by the package {module or library}"
    if not isinstance(operator, OpOverload):
        return f"{shown(name)} is not an operator"
    # TorchScript's own are on numbers and lists (`[0.0] * n`), and stop the process or fill memory
    # before a run on shapes sees them. Sizes that are asked for are symbols by other means.
    if module is not None and not is_dispatched(operator) and not packet.startswith("sym_"):
        return f"{shown(name)} is of TorchScript, not of tensors"
    if module is not None and any(_is_destination(a) for a in schema_of(operator).arguments):
        return f"{shown(name)} writes to a tensor that is given as out="
    return ""


def _registered(library: str, packet: str, overload: str) -> Any:
    """An operator that is there already: a library need not have the name of a package."""
    try:
        return getattr(getattr(getattr(torch.ops, library), packet), overload)
    except (AttributeError, RuntimeError):
        return None


def _is_destination(argument: torch.Argument) -> bool:
    written = argument.alias_info is not None and argument.alias_info.is_write
    return written and argument.kwarg_only


def packet_of(target: Any) -> str:
    """Return ``add`` of ``aten.add.Tensor``; nothing of what is not an operator of a library."""
    return schema_of(target).name.rpartition("::")[2] if isinstance(target, OpOverload) else ""
