"""Random networks: a pool of values, and operators that take some of them and add another.

A drawn network is a list of calls. Its values have the batch in front, or behind the positions
(``[L, B, F]``), or none at all; they are floats, and truth values and integers that follow from
floats. Beside coded inputs there are held ones: ids, masks of any dtype, a bias, a number.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.fuzz.discrete import STREAMS, WRITES
from tests.fuzz.held import HELD
from tests.fuzz.layouts import FLAT, MIXING, SEQUENCE_FIRST
from tests.fuzz.operator import WORDS, Draw, L, Operator, Shape
from tests.fuzz.operators import BATCH_FIRST


def _anywhere(table: Mapping[str, Operator]) -> dict[str, Operator]:
    return {name: operator for name, operator in table.items() if operator.anywhere}


_OWN: dict[str, Shape] = {"ids": (L,), "mask": (L,), "bias": (L, L), "number": ()}
_BESIDE = {name: operator for name, operator in SEQUENCE_FIRST.items() if operator.takes[0] in _OWN}
_IN_FRONT = {name: operator for name, operator in BATCH_FIRST.items() if not operator.anywhere}


_FAMILIES: dict[str, list[dict[str, Operator]]] = {
    "batch first": [_IN_FRONT, _anywhere(BATCH_FIRST), STREAMS, WRITES, HELD, MIXING],
    "positions first": [
        SEQUENCE_FIRST,
        _BESIDE,
        *map(_anywhere, (BATCH_FIRST, STREAMS, WRITES, HELD)),
    ],
    "no batch": [FLAT, *map(_anywhere, (BATCH_FIRST, STREAMS, WRITES, HELD))],
}
TABLES: dict[str, dict[str, Operator]] = {
    layout: {name: operator for family in reversed(families) for name, operator in family.items()}
    for layout, families in _FAMILIES.items()
}
"""The operators of each layout."""

_SHAPES: dict[str, list[Shape]] = {
    "batch first": [(3,), (L, 4), (L, 4), (2, 4, 4), (4, 3, 3), ()],
    "positions first": [(L, 4), (L, 4), (2, 4), (4,), ()],
    "no batch": [(3,), (L,), (L,), ()],
}
_VALUES = ("float", "bool", "int")
_MASKS = (torch.bool, torch.long, torch.int32, None)  # None: floats
MOST = 2000
"""Values that one value of the pool may have, so that a network stays small."""


@dataclass(frozen=True)
class Input:
    """An input of a drawn network.

    Attributes:
        kind: ``float``, or what `Operator.takes` calls it.
        shape: without the batch.
        batch_dim: where the batch is; None: nowhere.
        dtype: of its values.
        coded: whether it arrives as increments.
    """

    kind: str
    shape: Shape
    batch_dim: int | None
    dtype: torch.dtype
    coded: bool

    def drawn(self, batch: int, generator: torch.Generator, steps: int | None = None) -> Tensor:
        """Return random values, those of a coded input for so many steps."""
        shape = list(self.shape)
        if self.batch_dim is not None:
            shape.insert(self.batch_dim, batch)
        if steps is not None and self.coded:
            shape.insert(0, steps)
        if self.kind == "ids":
            return torch.randint(WORDS, shape, generator=generator).to(self.dtype)
        if self.kind == "mask":
            kept = torch.rand(shape, generator=generator) < 0.6
            kept[..., 0] = True
            return kept.to(self.dtype)
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(self.dtype)


@dataclass(frozen=True)
class Call:
    """One call of an operator: its name, and the numbers of the values that it takes."""

    operator: str
    operands: tuple[int, ...]


class Network(nn.Module):
    """A drawn network; the pool of values begins with the inputs."""

    def __init__(
        self, calls: Sequence[Call], modules: Sequence[nn.Module], outputs: Sequence[int], form: str
    ) -> None:
        super().__init__()
        self.calls, self.outputs, self.form = tuple(calls), tuple(outputs), form
        self.operators = nn.ModuleList(modules)

    def forward(self, *inputs: Tensor) -> Any:
        pool = list(inputs)
        for call, operator in zip(self.calls, self.operators, strict=True):
            pool.append(operator(*(pool[i] for i in call.operands)))
        chosen = [pool[i] for i in self.outputs]
        if self.form == "tensor":
            return chosen[0]
        if self.form == "dict":
            return {f"y{i}": y for i, y in enumerate(chosen)}
        return tuple(chosen)


@dataclass(frozen=True)
class Drawn:
    """A network, what it is traced on, and how.

    Attributes:
        network: the network.
        dtype: of its parameters and coded inputs.
        layout: a key of `TABLES`.
        given: its inputs.
        inputs: the example.
        batch: that of the example.
        other: another batch size.
        batch_dims: what `convert` is told of the batch.
        origin: the seed and the number of calls that `drawn_from` had.
    """

    network: Network
    dtype: torch.dtype
    layout: str
    given: tuple[Input, ...]
    inputs: tuple[Tensor, ...]
    batch: int
    other: int
    batch_dims: Mapping[str | int, int | None] | None
    origin: tuple[int, int]

    @property
    def how(self) -> dict[str, Any]:
        """The options of `convert` that the network needs."""
        held = [i for i, g in enumerate(self.given) if not g.coded and g.dtype.is_floating_point]
        return {"held": held, "batch_dims": self.batch_dims}

    @property
    def smooth(self) -> bool:
        """Whether a small change of what neurons follow changes the outputs by little."""
        return all(TABLES[self.layout][call.operator].smooth for call in self.network.calls)

    def __repr__(self) -> str:
        called = [f"{c.operator}{c.operands}" for c in self.network.calls]
        shapes = [
            f"{g.kind}{tuple(x.shape)}{'' if g.coded else ' held'}:{str(x.dtype)[6:]}"
            for g, x in zip(self.given, self.inputs, strict=True)
        ]
        return (
            f"{self.origin} {self.layout} {self.batch}/{self.other} {self.batch_dims} "
            f"[{', '.join(shapes)}] "
            f"{' '.join(called)} -> {self.network.form}{self.network.outputs}"
        )


@dataclass(frozen=True)
class _Value:
    """A value of the pool while a network is drawn."""

    tensor: Tensor
    kind: str
    shape: Shape  # without the batch
    changes: bool  # whether it follows from a coded input


def networks(most: int = 7, dtype: str = "", smooth: bool = False) -> st.SearchStrategy[Drawn]:
    """Draw networks of up to ``most`` calls.

    All of a network follows from one seed, so that operators are drawn alike often: Hypothesis
    prefers some, and repeats them. What fails is made smaller by hand, by its first calls
    (`drawn_from` the seed that is printed).

    Args:
        most: number of calls.
        dtype: of its parameters; empty: drawn.
        smooth: of operators that are smooth alone.
    """

    seeds, calls = st.integers(0, 2**48), st.integers(min(2, most), most)
    made = st.builds(drawn_from, seeds, calls, st.just(dtype), st.just(smooth))
    return made.filter(lambda network: network is not None)  # type: ignore[return-value]


_LAYOUTS = ["batch first"] * 4 + ["positions first"] * 2 + ["no batch"]


def drawn_from(seed: int, most: int, dtype: str = "", smooth: bool = False) -> Drawn | None:
    """Draw a network; None where its outputs follow from no coded input, or are not finite."""
    draw = random.Random(seed)
    torch.manual_seed(draw.randint(0, 2**32))
    layout = draw.choice(_LAYOUTS)
    dtypes = ["float64"] * 4 + ["float32"] * 2 + ["float16", "bfloat16"]
    own = getattr(torch, dtype or draw.choice(dtypes))
    given = [*_coded(draw, layout, own), *_of_their_own(draw, layout, own)]
    batch, other = draw.choice([(3, 2), (2, 5), (3, 5), (2, 1), (1, 3)])
    inputs = _example(draw, given, batch)
    pool = [_Value(x.clone(), g.kind, g.shape, g.coded) for g, x in zip(given, inputs, strict=True)]
    families = [
        {name: o for name, o in family.items() if o.smooth or not smooth}
        for family in _FAMILIES[layout]
    ]
    calls, modules = _drawn_calls(draw, families, pool, layout, batch, most)
    used = {i for call in calls for i in call.operands}
    ends = [i for i in range(len(given), len(pool)) if i not in used]
    finite = all(bool(torch.isfinite(v.tensor.double()).all()) for v in pool)
    if not finite or not any(pool[i].changes for i in ends):
        return None
    form = draw.choice(["tensor", "tuple", "dict"])
    if form == "tensor":
        ends = [i for i in ends if pool[i].changes][-1:]
    kept = [i for i in range(len(pool)) if i >= len(given) or i in used]
    place = {old: new for new, old in enumerate(kept)}
    calls = [Call(c.operator, tuple(place[i] for i in c.operands)) for c in calls]
    network = Network(calls, modules, [place[i] for i in ends], form).eval()
    read = [i for i in kept if i < len(given)]
    given, inputs = [given[i] for i in read], [inputs[i] for i in read]
    dims = _said(draw, layout, given)
    return Drawn(
        network, own, layout, tuple(given), tuple(inputs), batch, other, dims, (seed, most)
    )


def _coded(draw: Draw, layout: str, own: torch.dtype) -> list[Input]:
    shapes = draw.choices(_SHAPES[layout], k=draw.randint(1, 3))
    return [Input("float", s, _batch_dim(layout, s), own, True) for s in shapes]


def _of_their_own(draw: Draw, layout: str, own: torch.dtype) -> Iterator[Input]:
    """Draw held inputs, and a number that may be coded."""
    for kind, shape in _OWN.items():
        if draw.randint(0, 3) >= (1 if kind in ("bias", "number") else 3):
            continue
        dtype, coded = own, False
        if kind == "ids":
            dtype = draw.choice([torch.long, torch.int32])
        if kind == "mask":
            dtype = draw.choice(_MASKS) or own
        if kind == "number":
            coded = draw.random() < 0.5
        dim = None if kind in ("bias", "number") else _batch_dim(layout, shape)
        if layout == "positions first" and kind == "ids":
            dim = 1
        yield Input(kind, shape, dim, dtype, coded)


def _batch_dim(layout: str, shape: Shape) -> int | None:
    if layout == "no batch":
        return None
    return 1 if layout == "positions first" and len(shape) == 2 else 0


def _example(draw: Draw, given: Sequence[Input], batch: int) -> list[Tensor]:
    """Draw an example, whose masks may be all ones, as those of an example often are."""
    generator = torch.Generator().manual_seed(draw.randint(0, 99))
    inputs = [g.drawn(batch, generator) for g in given]
    if draw.random() < 0.5:
        inputs = [
            torch.ones_like(x) if g.kind == "mask" else x
            for g, x in zip(given, inputs, strict=True)
        ]
    return inputs


def _said(draw: Draw, layout: str, given: Sequence[Input]) -> Mapping[str | int, int | None] | None:
    """Draw what `convert` is told of the batch; where it is not in front, mostly where it is."""
    told = draw.randint(0, 3) < (3 if layout == "positions first" else 1)
    return {i: g.batch_dim for i, g in enumerate(given)} if told else None


def _drawn_calls(
    draw: Draw,
    families: Sequence[Mapping[str, Operator]],
    pool: list[_Value],
    layout: str,
    batch: int,
    most: int,
) -> tuple[list[Call], list[nn.Module]]:
    """Draw calls, and put what they give in the pool."""
    calls: list[Call] = []
    modules: list[nn.Module] = []
    dtype = pool[0].tensor.dtype
    for _ in range(most):
        call = _draw_call(draw, families, pool)
        operator, operands = TABLES[layout][call.operator], [pool[i] for i in call.operands]
        module = operator.make(draw, *(v.shape for v in operands)).to(dtype).eval()
        try:
            with torch.no_grad():
                result = module(*(v.tensor for v in operands))
        except (RuntimeError, ValueError, IndexError):
            continue  # as of a dtype that a kernel lacks
        shape = _without_batch(result, layout, batch)
        if result.numel() > MOST or not result.numel() or shape is None:
            continue
        calls.append(call)
        modules.append(module)
        changes = any(v.changes for v in operands)
        pool.append(_Value(result, operator.gives, shape, changes))
    return calls, modules


def _without_batch(x: Tensor, layout: str, batch: int) -> Shape | None:
    shape = list(x.shape)
    if layout == "no batch":
        return tuple(shape)
    dim = 1 if layout == "positions first" and x.dim() == 3 else 0
    if x.dim() == 0 or x.dim() > 4 or shape[dim] != batch:
        return None
    return tuple(shape[:dim] + shape[dim + 1 :])


def _draw_call(
    draw: Draw, families: Sequence[Mapping[str, Operator]], pool: Sequence[_Value]
) -> Call:
    """Draw an operator among those that fit a drawn value, rare shapes of pairs included."""
    by_kind = {k: [i for i, v in enumerate(pool) if v.kind == k] for k in {v.kind for v in pool}}
    anchor = draw.choice([k for k in _VALUES if k in by_kind])
    by_anchor = {**by_kind, anchor: [draw.choice(by_kind[anchor])]}
    kinds = {name: o.takes for family in families for name, o in family.items()}
    found: list[dict[str, list[tuple[int, ...]]]] = []
    for family in families:
        fitting: dict[str, list[tuple[int, ...]]] = {}
        for name, operator in family.items():
            if options := _options(operator, pool, by_kind, by_anchor, anchor):
                fitting[name] = options
        found += [fitting] * bool(fitting)
    # What stands last, as what mixes the samples of a batch, is drawn less often.
    chosen = draw.choice(found[:-1] * 2 + found[-1:])
    names = sorted(chosen)
    # What needs values of several kinds fits seldom.
    (name,) = draw.choices(names, [len(set(kinds[name])) ** 2 for name in names])
    return Call(name, draw.choice(chosen[name]))


def _options(
    operator: Operator,
    pool: Sequence[_Value],
    by_kind: Mapping[str, list[int]],
    by_anchor: Mapping[str, list[int]],
    anchor: str,
) -> list[tuple[int, ...]]:
    """Return what an operator may take, the anchor in the first place that takes values."""
    first = next((i for i, kind in enumerate(operator.takes) if kind in _VALUES), None)
    if first is not None and operator.takes[first] != anchor:
        return []
    options = [
        (by_anchor if i == first else by_kind).get(kind, [])
        for i, kind in enumerate(operator.takes)
    ]
    return [o for o in itertools.product(*options) if operator.fits(*(pool[i].shape for i in o))]
