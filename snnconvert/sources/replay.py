"""Runs a program on tensors without memory: what it would allocate is known before it does.

A program says of every value which shape it has, and need not say the truth. On the shapes of its
example inputs each operator tells the shape of its result without computing it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from snnconvert.errors import SourceError
from snnconvert.torch_private import NEEDS_NUMBERS, FakeTensorMode, HigherOrderOperator, pytree
from snnconvert.wording import shown

_ALWAYS = 256 << 20  # bytes of one value, in a program of any size
_GROWTH = 16  # how many times its weights and inputs one value may take
# Values and branches that only a run on numbers can tell of.
_UNKNOWN = (*NEEDS_NUMBERS, NotImplementedError)


class _TooLargeError(Exception):
    pass


def check_run(program: ExportedProgram, where: str) -> None:
    """Refuses a program that does not run on its own example inputs, or makes huge values of them.

    What follows on a value that depends on numbers (a branch, the positions of what is not zero)
    is not looked at.

    Raises:
        SourceError: it does not run, or one of its values takes far more than its inputs.
    """
    if program.example_inputs is None:
        return
    given = _inputs(program)
    sizes = [x.numel() * x.element_size() for x in given if isinstance(x, Tensor)]
    most = _ALWAYS + _GROWTH * sum(sizes)
    try:
        with torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True) as mode:
            fake = [mode.from_tensor(x) if isinstance(x, Tensor) else x for x in given]
            _Replay(program.graph_module, most).run(*fake)
    except _UNKNOWN:
        return
    except _TooLargeError as error:
        raise SourceError(f"{where}: the exported program is refused: {error}") from None
    except Exception as error:
        if isinstance(error.__cause__, _UNKNOWN) or _has_regions(program):
            return  # regions of a graph know more kinds of values than these
        raise SourceError(
            f"{where}: the exported program does not run on its own example inputs "
            f"({type(error).__name__}: {shown(error, 300)})"
        ) from None


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


class _Replay(fx.Interpreter):
    """A run that stops at a value of more than so many bytes."""

    def __init__(self, graph_module: fx.GraphModule, most: int) -> None:
        super().__init__(graph_module)
        self.most = most
        self.extra_traceback = False

    def run_node(self, n: fx.Node) -> Any:
        """Run a node, and look at what it returned."""
        result = super().run_node(n)
        for value in pytree.tree_leaves(result):
            taken = value.numel() * value.element_size() if isinstance(value, Tensor) else 0
            if taken > self.most:
                raise _TooLargeError(
                    f"'{shown(n.name)}' would take {taken} bytes on its example inputs, for which "
                    f"at most {self.most} are foreseen"
                )
        return result
