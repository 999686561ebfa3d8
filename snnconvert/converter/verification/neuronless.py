"""Neurons replaced by what they follow, exactly or by tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from snnconvert.converter.deciding.absorb import absorb_batch_norm
from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.converter.spikes.site import Site
from snnconvert.converter.verification.check_tensors import CheckTensors
from snnconvert.ops.targets import Target
from snnconvert.torch_private import children_of


class _Followed(nn.Module):
    """Stands for a neuron and gives what it follows."""

    def __init__(self, target: Target) -> None:
        super().__init__()
        self.target = target

    def track(self, x: Tensor, *where: Any) -> Tensor:
        return self.target(x)


def followed(target: Target) -> nn.Module:
    """Return what stands for a neuron and gives what it follows."""
    return _Followed(target)


def with_stand_ins(snn: ConvertedModule, stand_in: Callable[[str], nn.Module]) -> ConvertedModule:
    """Replace every neuron of a conversion, by its path; return the conversion."""
    for path in dict.fromkeys(snn.conversion.neurons.values()):
        parent, _, name = path.rpartition(".")
        children_of(snn.tree.get_submodule(parent))[name] = stand_in(path)
    return snn


def targets_of(
    snn: ConvertedModule, target_of: Callable[[Site], Target] = lambda site: site.target
) -> dict[str, Target]:
    """Return what each neuron of a conversion follows, by its path."""
    sites = snn.conversion.sited.sites
    return {path: target_of(sites[node]) for node, path in snn.conversion.neurons.items()}


def without_neurons(snn: ConvertedModule) -> ConvertedModule:
    """Replace every neuron of a conversion by what it follows; return the conversion."""
    targets = targets_of(snn)
    return with_stand_ins(snn, lambda path: _Followed(targets[path]))


def table_stand_ins(snn: ConvertedModule) -> dict[str, nn.Module]:
    """Return by the path of each neuron what gives what it follows, by its table if it has one."""
    fitted = snn.conversion.calibration.fitted
    targets = targets_of(snn, lambda site: fitted[site.name].target)
    return {path: _Followed(target) for path, target in targets.items()}


def exact_twin(snn: ConvertedModule, tensors: CheckTensors) -> ConvertedModule:
    """Return a copy of a conversion in the dtype of a check, without its neurons.

    What a map absorbed is absorbed again in that dtype, unless it was changed since: rounded to
    the conversion's own, it would be off by more than a check allows.
    """
    if absorbed := snn.conversion.absorbed:
        now = snn.state_dict(keep_vars=True)
        wide = absorb_batch_norm(snn.conversion.source, torch.float64).tensors
        for name in absorbed:
            exact = wide[name].detach().to(now[name].device)
            if torch.equal(exact.to(now[name].dtype), now[name]):
                tensors.put(now[name], exact)
    return without_neurons(tensors.twin(snn))
