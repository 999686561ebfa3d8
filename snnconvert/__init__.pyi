from . import converter, errors, ops, rules, sources
from .converter.convert import NotEquivalentWarning, convert
from .converter.loading.read import load
from .converter.reports.equivalence import EquivalenceReport
from .converter.reports.stream import StreamReport
from .converter.reports.write import write_report
from .converter.running.converted import ConvertedModule
from .converter.running.recording import Recording
from .converter.running.until import Settled
from .converter.verification.equivalence import verify
from .converter.verification.measure.stream import measure_stream
from .converter.verification.randomize import randomize_constant_weights
from .costs.models import CostModel, load_costs
from .errors import SnnconvertError
from .rules import RuleSet, load_rules
from .speed.bench import bench
from .speed.report import BenchReport
from .tuning.analyze import Analysis, analyze
from .tuning.tune import tune
from .tuning.tuned import Tuned

__version__: str

__all__ = [
    "Analysis",
    "BenchReport",
    "ConvertedModule",
    "CostModel",
    "EquivalenceReport",
    "NotEquivalentWarning",
    "Recording",
    "RuleSet",
    "Settled",
    "SnnconvertError",
    "StreamReport",
    "Tuned",
    "__version__",
    "analyze",
    "bench",
    "convert",
    "converter",
    "errors",
    "load",
    "load_costs",
    "load_rules",
    "measure_stream",
    "ops",
    "randomize_constant_weights",
    "rules",
    "sources",
    "tune",
    "verify",
    "write_report",
]
