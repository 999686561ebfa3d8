"""Moves that a neuron stands ahead of.

A neuron with one threshold does the same to each value, wherever it lies, so it may stand ahead of
what only moves values, and its spikes are moved. There are as few values as there ever are ahead of
what repeats them; and a product of matrices reads a transposed operand where it lies, while a
neuron behind the transposition would have to gather it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import fx

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.meta import is_tensor
from snnconvert.ops.kinds import kind_of, operator_name
from snnconvert.rules import NeuronSettings

_FORMS = frozenset(
    "view reshape _unsafe_view flatten unflatten squeeze unsqueeze clone contiguous alias detach "
    "view_copy squeeze_copy unsqueeze_copy alias_copy detach_copy".split()
)
_REPEATS = frozenset("expand expand_copy broadcast_to repeat_interleave".split())


@dataclass(frozen=True)
class Ahead:
    """Where a neuron stands ahead of moves.

    Attributes:
        drive: what drives it.
        axes: dimensions of one step's drive along which features differ.
        moves: of its spikes, the last one first.
    """

    drive: fx.Node
    axes: tuple[int, ...]
    moves: tuple[fx.Node, ...] = ()


def ahead_of_moves(
    x: fx.Node,
    axes: Sequence[int],
    consumer: fx.Node,
    settings: NeuronSettings,
    may_pass: Callable[[fx.Node, fx.Node], bool],
) -> Ahead:
    """Return where the neuron of an operand is to stand: ahead of all moves that leave its features
    as they are, and of one that swaps the two dimensions of a matrix for a product of matrices.

    Args:
        x: the operand.
        axes: its dimensions along which features differ.
        consumer: what takes the operand.
        settings: what the rules say of the neuron.
        may_pass: tells of a move, and what it moves, whether a neuron may stand ahead of it.
    """
    # By feature, thresholds and means would have to be moved too.
    found = Ahead(x, tuple(axes))
    if settings.per != "tensor" or settings.rest != "zero":
        return found
    swaps = kind_of(consumer.target).name == "matmul"
    while (drive := _moved_by(found.drive)) is not None:
        if swaps and _swaps(found.drive):
            last = drive.meta["val"].dim() - 1
            axes = [{last: last - 1, last - 1: last}.get(axis, axis) for axis in found.axes]
            swaps = False
        elif not _keeps(found.drive, drive, found.axes):
            break
        else:
            shift = drive.meta["val"].dim() - found.drive.meta["val"].dim()
            axes = [axis + shift for axis in found.axes]
        if min(axes, default=1) < 1 or not may_pass(found.drive, drive):
            break
        found = Ahead(drive, tuple(axes), (*found.moves, found.drive))
    return found


def _moved_by(move: fx.Node) -> fx.Node | None:
    """Return what a call moves, if it takes nothing else and gives numbers of the same dtype."""
    tensors = [n for n in move.all_input_nodes if is_tensor(n)]
    if move.op != "call_function" or len(tensors) != 1 or not is_tensor(move):
        return None
    (x,) = tensors
    same = x.meta["val"].dtype is move.meta["val"].dtype
    return x if same and move.args[:1] == (x,) else None


def _swaps(move: fx.Node) -> bool:
    """Tell whether a move swaps the last two dimensions."""
    given, last = arguments_of(move), move.meta["val"].dim() - 1
    name = operator_name(move.target)
    if name in ("transpose", "swapaxes", "swapdims"):
        dims = [d for key, d in given.items() if key != "self"]
        return {d % (last + 1) for d in dims} == {last - 1, last}
    return last > 0 and name in ("t", "mT")


def _keeps(move: fx.Node, x: fx.Node, axes: Sequence[int]) -> bool:
    """Tell whether a move changes the form of a value, or repeats it, but leaves its dimensions as
    they are from the first with features on."""
    if operator_name(move.target) not in _FORMS | _REPEATS:
        return False
    made, given = (list(n.meta["val"].shape) for n in (move, x))
    kept = len(made) - min(axes, default=len(made))
    return len(given) >= kept and _same(made[len(made) - kept :], given[len(given) - kept :])


def _same(sizes: Sequence[Any], others: Sequence[Any]) -> bool:
    """Tell whether sizes are the same numbers, or expressions; without a guard on them."""
    return [_expression(n) for n in sizes] == [_expression(n) for n in others]


def _expression(size: Any) -> Any:
    return size if isinstance(size, int) else size.node.expr
