"""Networks on spikes for the proof, and what they come to beside the proof's own outputs."""

from __future__ import annotations

import torch
from torch import nn

import snnconvert
from snnconvert.converter.verification.events import prove_spikes
from snnconvert.torch_private import pytree


class Around(nn.Module):
    """A function of one linear map and the input."""

    def __init__(self, function, width=6):
        super().__init__()
        self.map, self.function = nn.Linear(width, width), function

    def forward(self, x):
        return self.function(self.map, x)


def on_spikes(model, x, rules="fully_spiking", **options):
    """Return a conversion in float64, in which no spike depends on rounding."""
    torch.manual_seed(1)
    options = {"verify": False, "calibration": [x], **options}
    return snnconvert.convert(model.eval(), (x[:4],), rules=rules, **options).double()


def rules(tmp_path, text):
    """Return a file of rules with what it says beside `fully_spiking`."""
    path = tmp_path / "own.yaml"
    path.write_text(f"version: 1\nextends: fully_spiking\n{text}")
    return path


def proven(snn, x):
    """Return the violations; see that the increments come to what the network answers."""
    proof = prove_spikes(snn, (x[:4],))
    with torch.no_grad():
        answers = pytree.tree_leaves(snn.simulate(x[:4].double()))
    torch.testing.assert_close(list(proof.outputs), answers, rtol=1e-9, atol=1e-12)
    return proof.violations
