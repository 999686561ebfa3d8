"""Turns any trained PyTorch network into a spiking one, by rules that a person can read."""

from snnconvert.converter.convert import NotEquivalentWarning, convert
from snnconvert.converter.loading.read import load
from snnconvert.converter.reports.equivalence import EquivalenceReport
from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.converter.verification.equivalence import verify
from snnconvert.converter.verification.randomize import randomize_constant_weights
from snnconvert.errors import SnnconvertError
from snnconvert.rules import RuleSet, load_rules
from snnconvert.version import __version__

__all__ = [
    "ConvertedModule",
    "EquivalenceReport",
    "NotEquivalentWarning",
    "RuleSet",
    "SnnconvertError",
    "__version__",
    "convert",
    "load",
    "load_rules",
    "randomize_constant_weights",
    "verify",
]
