"""The most memory that a run holds at once."""

from __future__ import annotations

import os
from itertools import accumulate

import torch
from torch.profiler import ProfilerActivity, profile

from snnconvert.speed.rounds import CPU, Call, uncollected


def peak_of(call: Call, device: torch.device = CPU) -> int:
    """Return the most bytes of tensors that a call holds at once, beyond those of before.

    Of tensors is what torch's allocator gave out: values, answers, and what operators need while
    they compute, not what the process keeps of memory that was given back, so that the number is
    the same on every run. On the CPU each allocation is seen by the profiler; on an accelerator
    its allocator counts.

    Args:
        call: what is run.
        device: on which it computes.
    """
    with uncollected():
        return _on_cpu(call) if device.type == "cpu" else _on_accelerator(call, device)


def _on_cpu(call: Call) -> int:
    # Kineto, which is behind the profiler, else writes to the stderr of the process.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as seen:
        call()
    found = seen.profiler.kineto_results if seen.profiler is not None else None
    events = [] if found is None else [e for e in found.events() if e.name() == _MEMORY]
    events.sort(key=lambda event: event.start_ns())
    return max(accumulate((event.nbytes() for event in events), initial=0))


def _on_accelerator(call: Call, device: torch.device) -> int:
    torch.accelerator.synchronize(device)
    before = torch.accelerator.memory_allocated(device)
    torch.accelerator.reset_peak_memory_stats(device)
    call()
    torch.accelerator.synchronize(device)
    return torch.accelerator.max_memory_allocated(device) - before


_MEMORY = "[memory]"
"""What the profiler calls it when memory is given out, or back."""
