"""Programs call operators of a list, each of which checks what it is given."""

from __future__ import annotations

import pytest
import torch

from snnconvert.sources.operators import ATEN, PRIMS, operator_problem


@pytest.mark.parametrize(
    "name",
    [
        "aten._sparse_coo_tensor_unsafe.default",
        "aten._sparse_csr_tensor_unsafe.default",
        "aten._sparse_compressed_tensor_unsafe.default",
        "aten.sparse_coo_tensor.indices_size",
        "aten._reshape_alias.default",
        "aten._resize_output_.default",
        "aten._unsafe_index_put.default",
        "aten._unsafe_masked_index.default",
        "aten._nested_view_from_buffer.default",
        "aten._index_put_impl_.default",
        "aten.as_strided_.out",
        "aten.add.out",
        "aten.from_file.default",
        "aten.lu_unpack.default",
        "aten.linalg_lu_solve.default",
        "aten.mul.left_t",
        "aten.remainder.int",
        "aten.pow.int_to_int",
        "aten.copy.Dict_Tensor",
        "aten._stack.default",
        "aten.binomial.default",
        "aten.lcm.default",
        "aten.linalg_eigvals.default",
        "aten.max_pool2d_with_indices_backward.default",
        "aten.resize_.default",
        "aten.segment_reduce.default",
        "aten.set_.source_Storage",
        "aten.set_data.default",
        "aten.to_sparse.default",
        "aten.record_stream.default",
        "aten.ctc_loss.IntList",
        "aten._native_batch_norm_legit_functional.default",
        "aten._native_multi_head_attention.default",
        "aten._transform_bias_rescale_qkv.default",
        "aten._transformer_encoder_layer_fwd.default",
        "aten.gru.data",
        "aten.lstm.data",
        "aten.rnn_tanh.data",
        "aten.special_laguerre_polynomial_l.default",
        "aten.tensor_split.tensor_indices_or_sections",
        "prims.resize.default",
        "prims.as_strided.default",
        "prims.copy_to.default",
        "torchvision.roi_align.default",
        "higher_order.while_loop",
        "higher_order.call_torchbind",
        "quantized.linear.default",
        "profiler._record_function_enter.default",
    ],
)
def test_operators_that_are_not_on_the_list_are_refused(name: str) -> None:
    assert name.partition(".")[2].partition(".")[0] in operator_problem(f"torch.ops.{name}", ())


@pytest.mark.parametrize(
    "name",
    [
        "aten.linear.default",
        "aten.relu_.default",
        "aten.lstm.input",
        "aten.sym_size.default",
        "aten.bincount.default",
        "aten.fake_quantize_per_tensor_affine.tensor_qparams",
        "aten.fake_quantize_per_channel_affine.default",
        "aten.linalg_householder_product.default",
        "aten._assert_scalar.default",
        "prims.mul.default",
    ],
)
def test_operators_of_honest_programs_are_accepted(name: str) -> None:
    assert not operator_problem(f"torch.ops.{name}", ())


def test_the_lists_name_operators_that_there_are() -> None:
    for library, names in (("aten", ATEN), ("prims", PRIMS)):
        found = {name for name in names if hasattr(getattr(torch.ops, library), name)}
        assert names == found


def test_what_sounds_unsafe_on_the_list_checks_its_bounds() -> None:
    x, beyond = torch.zeros(4), torch.tensor([9])
    with pytest.raises(IndexError):
        torch.ops.aten._unsafe_index.Tensor(x, [beyond])
    with pytest.raises(RuntimeError):
        torch.ops.aten._unsafe_view.default(x, [5])
    with pytest.raises(RuntimeError):
        torch.ops.aten.linalg_householder_product.default(x.view(2, 2), x)
    with pytest.raises(RuntimeError, match="dimensions of scale and zero-point"):
        torch.ops.aten.fake_quantize_per_channel_affine.default(x, x[:1], x[:1].int(), 0, 0, 7)
    with pytest.raises(RuntimeError, match="non-negative"):
        torch.ops.aten.bincount.default(-beyond)
    with pytest.raises(RuntimeError, match="out of bounds"):
        torch.ops.aten.as_strided.default(x, [8], [1])
    with pytest.raises(RuntimeError, match="out of bounds"):
        torch.ops.aten.as_strided.default(x, [2], [1], 4)
    with pytest.raises((IndexError, RuntimeError)):
        torch.ops.aten.embedding.default(torch.zeros(2, 3), beyond)
    with pytest.raises(RuntimeError):
        torch.ops.aten.max_unpool2d.default(torch.zeros(1, 1, 1), beyond.view(1, 1, 1), [2, 2])
