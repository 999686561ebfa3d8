from __future__ import annotations

import importlib
import inspect
import pickle
import pkgutil

import pytest

import snnconvert
from snnconvert import errors
from snnconvert.errors import CheckListError, DocumentError, RuleError, SnnconvertError

INTERNAL = {
    # Caught where the model of a rule file checks the value, and told with the value's line.
    "snnconvert.rules.globs.GlobError",
    "snnconvert.rules.conditions.ConditionError",
    # Ends the reading of a document, and becomes a problem of it.
    "snnconvert.documents.document._Refused",
    # Ends the scan of a pickle, and becomes its verdict.
    "snnconvert.sources.pickle_policy._RefusedError",
    # End the check of a saved program, or of a size in it, and become its problem.
    "snnconvert.sources.program_schema.RefusedError",
    "snnconvert.sources.size_expressions._RefusedError",
    # Ends the run of a saved program on shapes alone, and is told as a SourceError.
    "snnconvert.sources.replay._RefusedError",
    # Ends the reading of a condition on sizes, which then allows the traced sizes alone.
    "snnconvert.converter.tracing.guards._Unreadable",
    # Ends the run of a graph on a single sample, and becomes what is said of that sample.
    "snnconvert.converter.tracing.single._OtherShape",
    # Ends the run of the conversion beside its source, and is told as a VerificationError.
    "snnconvert.converter.verification.node_errors.NodeRaised",
    "snnconvert.converter.verification.events.execution.NotOnSpikes",
    # Ends the way of a factor through a graph, and becomes a neuron.
    "snnconvert.converter.spikes.factors.NotTakenUp",
    # Is a warning.
    "snnconvert.converter.convert.NotEquivalentWarning",
}


def exceptions() -> dict[str, type[BaseException]]:
    found = {}
    for info in pkgutil.walk_packages(snnconvert.__path__, "snnconvert."):
        if info.name.endswith("__main__"):
            continue
        module = importlib.import_module(info.name)
        for kind in vars(module).values():
            if inspect.isclass(kind) and issubclass(kind, BaseException):
                found[f"{kind.__module__}.{kind.__qualname__}"] = kind
    return {name: kind for name, kind in found.items() if name.startswith("snnconvert.")}


def test_every_error_that_reaches_a_user_is_ours_and_stands_in_errors():
    found = exceptions()
    assert found.keys() >= INTERNAL
    for name, kind in found.items():
        if name not in INTERNAL:
            assert issubclass(kind, SnnconvertError), name
            assert kind.__module__ == errors.__name__, name


@pytest.mark.parametrize("kind", [DocumentError, RuleError, CheckListError])
def test_errors_of_documents_hold_all_problems_in_other_processes_too(kind):
    error = kind(problem for problem in ("a:1: one", "a:2: two"))
    assert isinstance(error, DocumentError)
    for one in (error, pickle.loads(pickle.dumps(error))):
        assert type(one) is kind
        assert one.problems == ("a:1: one", "a:2: two")
        assert str(one) == "a:1: one\na:2: two"
