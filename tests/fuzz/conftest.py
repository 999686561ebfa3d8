"""How much is fuzzed: a little in every run, more with ``HYPOTHESIS_PROFILE=nightly``."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, settings

_COMMON = {
    "deadline": None,
    "verbosity": Verbosity.normal,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.filter_too_much],
}
settings.register_profile("default", derandomize=True, database=None, **_COMMON)
settings.register_profile("nightly", derandomize=False, print_blob=True, **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


WITHOUT_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
"""For what follows from a seed: another seed is another example, and not a smaller one."""


def examples(count: int, **options: Any) -> settings:
    """Return settings with that many examples, ten times as many in the nightly profile."""
    nightly = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
    return settings(max_examples=count * 10 if nightly else count, **options)
