"""Turns any trained PyTorch network into a spiking one, by rules that a person can read.

The public names are in ``__init__.pyi``, where type checkers read them too. Each is imported when
it is first used, so that what needs no torch, such as ``snnconvert --help``, does not wait for it.
"""

import lazy_loader

from snnconvert.version import __version__ as __version__

__getattr__, __dir__, _names = lazy_loader.attach_stub(__name__, __file__)

_PACKAGES = {"converter", "errors", "ops", "rules", "sources"}
__all__ = ["__version__", *(name for name in _names if name not in _PACKAGES)]
