"""Events of a step: what a map is given to add up, counted."""

import pytest
import torch
import transformers.integrations.moe  # registers the operator
from torch import nn

import snnconvert
from snnconvert.rules import parse_rules

assert transformers.integrations.moe

RULES = """
version: 1
time_steps: 2
encoding: constant
neuron: {type: multi_threshold, levels: 8}
rules: [{name: spikes, match: {op: grouped_mm}, action: spike_operands}]
"""


class Experts(nn.Module):
    """Rows that meet the weights of one of two groups, by the sign of what is given beside them."""

    def __init__(self, width=4):
        super().__init__()
        torch.manual_seed(0)
        self.weight = nn.Parameter(torch.randn(2, width, width))

    def forward(self, x, beside):
        choice = (beside > 0.75).long()
        order = choice.argsort(stable=True)
        ends = torch.stack([(1 - choice).sum(), choice.new_tensor(len(x))])
        operator = torch.ops.transformers.grouped_mm_fallback
        return operator(x[order], self.weight, ends.int())[order.argsort()]


@pytest.mark.parametrize("changing", [0, 1, 3])
def test_rows_that_change_their_group_emit_all_their_spikes_again(changing):
    # Each value emits a half in each of the two steps. In the second, `changing` rows, the last
    # that are in the first group, go over to the other.
    x = torch.ones(6, 4)
    beside = torch.zeros(6).index_fill(0, torch.arange(6 - changing, 6), 1.0)
    model = Experts().eval()
    snn = snnconvert.convert(model, (x, beside), parse_rules(RULES), calibration=[(x, beside)])
    work = snn.report.spiking.work
    assert snn.report.passed
    spikes = 6 * 2 + changing * 1  # those of the first step are emitted again
    assert work.operations["accumulations"] * len(x) == spikes * 4 * 4
