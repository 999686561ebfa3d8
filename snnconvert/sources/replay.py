"""Runs a program on tensors without memory: what it would allocate is known before it does.

A program says of every value which shape it has, and need not say the truth. On the shapes of its
example inputs each operator tells the shape of its result without computing it.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from snnconvert.errors import SourceError
from snnconvert.sources.bags import offset_problems
from snnconvert.sources.budget import dimensions_problem
from snnconvert.sources.call_checks import call_problem, is_checked
from snnconvert.torch_private import (
    NEEDS_NUMBERS,
    FakeTensorMode,
    HigherOrderOperator,
    OpOverload,
    TorchDispatchMode,
    pytree,
)
from snnconvert.wording import shown

_ALWAYS = 256 << 20  # bytes of one value, in a program of any size
_GROWTH = 16  # how many times its weights and inputs one value may take
# Values and branches that only a run on numbers can tell of.
_UNKNOWN = (*NEEDS_NUMBERS, NotImplementedError)


_UNSEEN = object()  # a value that depends on such a one


class _RefusedError(Exception):
    pass


def check_run(program: ExportedProgram, where: str) -> None:
    """Refuses a program that does not run on its own example inputs, or makes huge values of them.

    What depends on numbers (the positions of what is not zero) is not looked at, nor what is
    computed of it; an operator that relies on its arguments is refused there.

    Raises:
        SourceError: it does not run, or one of its values takes far more than its inputs.
    """
    if program.example_inputs is None:
        return
    given = _inputs(program)
    sizes = [x.numel() * x.element_size() for x in given if isinstance(x, Tensor)]
    most = _ALWAYS + _GROWTH * sum(sizes)
    try:
        _check_values(program.graph_module, given)
        with torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True) as mode:
            fake = [mode.from_tensor(x) if isinstance(x, Tensor) else x for x in given]
            with _Watch(most):
                _Replay(program.graph_module, most, _has_regions(program)).run(*fake)
    except _RefusedError as error:
        raise SourceError(f"{where}: the exported program is refused: {error}") from None
    except Exception as error:
        raise SourceError(
            f"{where}: the exported program does not run on its own example inputs "
            f"({type(error).__name__}: {shown(error, 300)})"
        ) from None


def _check_values(module: fx.GraphModule, given: Sequence[Any]) -> None:
    """Refuse what depends on values and not on shapes, in a graph and in its regions."""
    for part in module.modules():
        if not isinstance(part, fx.GraphModule):
            continue
        places = [node for node in part.graph.nodes if node.op == "placeholder"]
        known = dict(zip(places, given, strict=False)) if part is module else {}
        for problem in offset_problems(part.graph, known):
            raise _RefusedError(problem)


def _inputs(program: ExportedProgram) -> list[Any]:
    """Everything that the graph takes: weights, constants, and the example inputs."""
    stored = {**program.constants, **program.state_dict}
    examples = iter(pytree.tree_leaves(program.example_inputs))
    own = (InputKind.USER_INPUT, InputKind.CONSTANT_TENSOR, InputKind.PARAMETER, InputKind.BUFFER)
    specs = [spec for spec in program.graph_signature.input_specs if spec.kind in own]
    return [
        next(examples, None) if spec.kind is InputKind.USER_INPUT else stored.get(str(spec.target))
        for spec in specs
    ]


def _has_regions(program: ExportedProgram) -> bool:
    return any(isinstance(node.target, HigherOrderOperator) for node in program.graph.nodes)


class _Watch(TorchDispatchMode):
    """Looks at each operator that runs, also at those that others are made of."""

    supports_higher_order_operators = True

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if isinstance(func, OpOverload) and (problem := call_problem(func, args, kwargs or {})):
            raise _RefusedError(problem)
        result = func(*args, **(kwargs or {}))
        for value in pytree.tree_leaves(result):
            if isinstance(value, Tensor) and value.untyped_storage().nbytes() > self.most:
                raise _RefusedError(_too_large(func, value.untyped_storage().nbytes(), self.most))
        return result


def _too_large(what: object, taken: int, most: int) -> str:
    return (
        f"'{shown(what)}' would take {taken} bytes on its example inputs, for which at most {most} "
        "are foreseen"
    )


class _Replay(fx.Interpreter):
    """A run that stops at a value of more than so many bytes, and goes on without unknown ones.

    Arguments:
        most: bytes of one value.
        lenient: whether operators that do not run make unknown values: the regions of a graph know
            more kinds of values than these.
    """

    def __init__(self, graph_module: fx.GraphModule, most: int, lenient: bool) -> None:
        super().__init__(graph_module)
        self.most = most
        self.lenient = lenient
        self.extra_traceback = False

    def run_node(self, n: fx.Node) -> Any:
        """Run a node, and look at what it returned."""
        if isinstance(n.target, HigherOrderOperator):
            _check_form(n.target, *self.fetch_args_kwargs_from_env(n))
        if n.op == "output" or not any(self.env[x] is _UNSEEN for x in n.all_input_nodes):
            result = self._run(n)
        elif is_checked(n):
            raise _RefusedError(
                f"'{shown(n.name)}' ({n.target}) relies on its arguments, which depend on numbers"
            )
        else:
            for x in n.all_input_nodes:
                if isinstance(self.env[x], fx.GraphModule):
                    _refuse_checked(self.env[x])
            result = _UNSEEN
        for value in pytree.tree_leaves(result):
            if not isinstance(value, Tensor):
                continue
            if problem := dimensions_problem(value):
                raise _RefusedError(f"'{shown(n.name)}': {problem}")
            taken = value.numel() * value.element_size()
            if taken > self.most:
                raise _RefusedError(_too_large(n.name, taken, self.most))
        return result

    def _run(self, n: fx.Node) -> Any:
        try:
            return super().run_node(n)
        except _RefusedError:
            raise
        except Exception as error:
            if self.lenient or isinstance(error, _UNKNOWN) or isinstance(error.__cause__, _UNKNOWN):
                return _UNSEEN
            raise

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        """Call a function; of one that is given regions, run each on its operands."""
        if isinstance(target, OpOverload) and (problem := call_problem(target, args, kwargs)):
            raise _RefusedError(problem)
        if isinstance(target, HigherOrderOperator):
            given = pytree.tree_leaves((args, kwargs))
            regions = [x for x in given if isinstance(x, fx.GraphModule)]
            if target.name() in _PLAIN_REGIONS and regions:
                operands = _operands(target.name(), args)
                runs = [_Replay(region, self.most, True).run(*operands) for region in regions]
                return runs[0]
            for region in regions:
                _refuse_checked(region)
        return super().call_function(target, args, kwargs)


def _check_form(operator: HigherOrderOperator, args: Any, kwargs: Any) -> None:
    """Refuse a call that has other arguments than the operator takes, or none of its regions."""
    try:
        call = inspect.signature(type(operator).__call__).bind(operator, *args, **kwargs)
    except TypeError as error:
        raise _RefusedError(f"'{operator.name()}' is called wrongly: {shown(error)}") from None
    for name in _REGIONS:
        if not isinstance(call.arguments.get(name, _NO_REGION), fx.GraphModule):
            raise _RefusedError(f"'{operator.name()}' is called without a graph as its {name}")


_REGIONS = ("combine_fn", "f", "false_fn", "func", "subgraph", "true_fn", "wrapped_func")
_NO_REGION = fx.GraphModule({}, fx.Graph())  # in the place of one that an operator does not take
_PLAIN_REGIONS = ("cond", "invoke_subgraph", "wrap_with_autocast", "wrap_with_set_grad_enabled")


def _operands(operator: str, args: Sequence[Any]) -> Sequence[Any]:
    """What a region is run on: all that follows it, as a tuple or one by one."""
    if operator == "cond":
        return tuple(args[3])
    last = max(at for at, x in enumerate(args) if isinstance(x, fx.GraphModule))
    return tuple(args[last + (2 if operator == "invoke_subgraph" else 1) :])


def _refuse_checked(region: fx.GraphModule) -> None:
    for part in region.modules():
        for node in part.graph.nodes if isinstance(part, fx.GraphModule) else ():
            if is_checked(node):
                raise _RefusedError(
                    f"'{shown(node.name)}' ({node.target}) relies on its arguments, which cannot "
                    "be checked in a loop"
                )
