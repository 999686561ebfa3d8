"""The models that ship with the package, as ``demo:NAME``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from snnconvert.errors import SourceError
from snnconvert.sources.source import Source
from snnconvert.wording import listed, suggestion


def demo_model(name: str) -> Source:
    """The shipped model ``name`` with two of its own images as example inputs."""
    if name not in _DEMOS:
        raise SourceError(
            f"demo:{name}: no such demo{suggestion(name, _DEMOS, f'there are: {listed(_DEMOS)}')}"
        )
    return _DEMOS[name](name)


def _digits_vit(name: str) -> Source:
    from snnconvert.demos.digits_vit import load_digits, load_model

    digits = load_digits()
    return Source(
        f"demo:{name}",
        load_model(),
        (digits.images[:2],),
        calibration=digits.calibration.split(_BATCH),
    )


_BATCH = 64
_DEMOS: Mapping[str, Callable[[str], Source]] = {"digits-vit": _digits_vit}
