"""A network on spikes, simulated event by event: every neuron, spike and addition for itself.

What a ledger counts in whole tensors is counted here in loops, by the definitions of
`snnconvert.costs.operations` alone.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter

import torch
from torch import Tensor, fx

from snnconvert.converter.graph.meta import SITED, TIME_DIMS
from snnconvert.converter.graph.spike_coded import is_neuron, is_spike_coded
from snnconvert.converter.verification.calls import Stored, calls_of
from snnconvert.converter.verification.measure.synapses import factors, is_map, operands
from snnconvert.ops.clock import Clock
from snnconvert.ops.encoding import encoding_named
from snnconvert.ops.kinds import kind_of, operator_name
from snnconvert.ops.neurons.scan import DUST
from snnconvert.torch_private import pytree, schema_of

ALL_VALUES = {"sum", "mean", "cumsum", "trapezoid", "gradient"}
ALL_RESULTS = {"add", "sub", "rsub", "addcmul"}
TAPS = {"upsample_linear1d": 2, "upsample_bilinear2d": 4, "_upsample_bilinear2d_aa": 4}
TAPS |= {"upsample_bicubic2d": 16, "_upsample_bicubic2d_aa": 16, "upsample_trilinear3d": 8}
COMPARED_VALUES = {"amax", "amin", "max", "argmax", "cummax"}
ADDED_TO = {"addmm", "baddbmm", "addbmm", "addmv", "addr", "addcmul"}
COMPARED_RESULTS = {"eq", "lt", "gt", "ge", "le", "ne", "maximum", "minimum", "clamp_min"}
COMPARED_RESULTS |= {"clamp_max", "clamp", "relu"}


def levels_of(neuron):
    """Return the sizes of a neuron's spikes, from the largest on."""
    ladder, top = neuron.ladder, float(neuron.v_threshold)
    sizes = {
        top * 2.0**-k * (1 + j / ladder.per_octave)
        for k in range(ladder.levels)
        for j in range(ladder.per_octave)
    }
    return sorted((size for size in sizes if size <= top), reverse=True)


class Simulated:
    """Neurons of one node, one by one."""

    def __init__(self, neuron, drive: Tensor, samples: int):
        self.neuron, self.levels, self.samples = neuron, levels_of(neuron), samples
        self.reached = [float(neuron.rest)] * drive.numel()
        self.drive: list[float] | None = None
        self.low, self.high = (
            float("-inf") if x is None and i == 0 else float("inf") if x is None else x
            for i, x in enumerate(neuron.target.limits)
        )

    def step(self, drive: Tensor, counts: Counter) -> list[int]:
        """Answer up to K times; return how many spikes each neuron had."""
        wanted = self.neuron.target(drive).flatten().tolist()
        given = drive.flatten().tolist()
        has_table = self.neuron.target.table is not None
        spikes = []
        for i, value in enumerate(wanted):
            counts["state reads"] += 2 if has_table else 1
            counts["state writes"] += 2 if has_table else 1
            if has_table and (self.drive is None or self.drive[i] != given[i]):
                counts["look-ups"] += 1
            spikes.append(0)
            for _ in range(self.neuron.bursts):
                counts["neuron updates"] += 1
                spike = self._spike(value - self.reached[i], self.reached[i])
                if not spike:
                    break
                self.reached[i] = min(max(self.reached[i] + spike, self.low), self.high)
                spikes[-1] += 1
        self.drive = given
        per_sample = max(drive.numel() // self.samples, 1)
        counts["spikes"] += sum(spikes)
        counts["address bits"] += sum(spikes) * math.ceil(math.log2(per_sample))
        counts["payload bits"] += sum(spikes) * math.log2(len(self.levels) * 2)
        return spikes

    def _spike(self, residual: float, reached: float) -> float:
        fire_at = self.neuron.ladder.fire_at
        for size in self.levels:
            spike = math.copysign(size, residual)
            room = (self.high if spike > 0 else self.low) - reached
            fits = size <= abs(room) * (1 + DUST)
            if abs(residual) >= fire_at * size * (1 - 1e-12) and fits:
                return spike
        return 0.0


def simulated(snn, leaves: list, steps: int) -> Counter:
    """Return how many operations of each kind a run on one batch has, of all its samples."""
    encoding = encoding_named(snn.conversion.rules.encoding)
    given = [_coded(encoding, leaves, t, steps) for t in range(steps)]
    return sum(simulated_steps(snn, given, steps), Counter())


def simulated_steps(snn, given: list[list], total: int, *, moving: bool = False) -> list[Counter]:
    """Return how many operations of each kind each step has, of all samples of a batch.

    Args:
        snn: the conversion.
        given: cumulative inputs of each step.
        total: ``T`` of the clock.
        moving: whether inputs are other ones at each step.
    """
    every: list[Counter] = []
    calls = calls_of(snn.graph, snn.conversion)
    clock = Clock(1, total=total, encoding=encoding_named(snn.conversion.rules.encoding))
    neurons: dict[fx.Node, Simulated] = {}
    for t, inputs in enumerate(given):
        clock.start = t
        every.append(counts := Counter())
        run = _Run(snn.tree, snn.graph)
        run.run(clock, *inputs)
        fired: dict[fx.Node, Tensor] = {}
        changed = set()
        for node in snn.graph.nodes:
            value = run.seen.get(node)
            arrives = not t or is_neuron(node) or (moving and node.op == "placeholder")
            if arrives or any(x in changed for x in node.all_input_nodes):
                changed.add(node)
            if is_neuron(node):
                neuron, drive = snn.tree.get_submodule(node.args[0].target), run.seen[node.args[1]]
                own = neurons.setdefault(node, Simulated(neuron, drive, len(inputs[0])))
                spikes = own.step(drive, counts)
                torch.testing.assert_close(value.flatten().tolist(), own.reached)
                fired[node] = torch.tensor(spikes, dtype=torch.float64).reshape(drive.shape)
            elif is_spike_coded(node) and any(x in fired for x in node.all_input_nodes):
                fired[node] = _moved(node, fired, run.seen)  # of pairs, both parts' as one number
            elif (call := calls.get(node)) is None:
                continue
            elif is_map(call):
                _count_map(snn, call, fired, run.seen, t, counts)
                summand = "self" if operator_name(call.operator) in ADDED_TO else "bias"
                summand = call.arguments.get(summand)
                if summand in changed and TIME_DIMS in summand.meta:
                    counts["additions"] += _numbers(value)
            elif node in changed and SITED in node.meta:
                _count_other(call, value, run.seen, counts)
    return every


class _Run(fx.Interpreter):
    def __init__(self, tree, graph):
        super().__init__(tree, graph=graph)
        self.seen: dict = {}

    def run_node(self, n):
        self.seen[n] = value = super().run_node(n)
        return value


def _coded(encoding, leaves, t, steps):
    return [
        encoding.cumulative(x, t, 1, steps, str(i))[0] if x.is_floating_point() else x
        for i, x in enumerate(leaves)
    ]


def _moved(node, fired, seen):
    def spikes(x):
        return fired[x] if x in fired else seen[x]

    args, kwargs = fx.map_arg((node.args, node.kwargs), spikes)
    return node.target(*args, **kwargs)


def _count_map(snn, call, fired, seen, t, counts):
    """Take every spike of each operand to what it meets."""
    found, streams = factors(call), operands(call)
    places = [i for i, x in enumerate(found) if x in streams]
    if kind_of(call.operator).elementwise and len({found[i] for i in places}) == 1:
        places = places[-1:]  # (a_t - a_{t-1}) (a_{t-1} + a_t)
    for place in places if t else places[-1:]:  # at first, what is behind has no value yet
        outputs: set = set()
        spikes = fired[found[place]]
        kind = "accumulations" if len(streams) == 1 else "products of spikes"
        for index in itertools.product(*map(range, spikes.shape)):
            for part, n in enumerate(_parts_of(spikes[index])):
                if not n:
                    continue
                reached = _reached(snn, call, place, index, part, seen)
                outputs |= reached.keys()
                for counted in (kind, "shifts", "weight reads"):
                    counts[counted] += n * sum(reached.values())
        counts["joins"] += 6 * len(outputs)  # of four levels per octave


def _parts_of(spikes: Tensor) -> list[int]:
    """Return how many spikes a number has; of a complex one, each of its parts."""
    return [int(x) for x in (torch.view_as_real(spikes) if spikes.is_complex() else spikes[None])]


def _reached(snn, call, place, index, part, seen) -> dict:
    """Return the outputs that one value of an operand adds to, each with how often; of a complex
    value one of its parts, and of complex outputs each of theirs."""

    def value_of(x):
        if isinstance(x, fx.Node):
            return seen[x]
        return dict(_named(snn.tree))[x.path] if isinstance(x, Stored) else x

    names = [
        a.name
        for a in schema_of(call.operator).arguments
        if any(x in factors(call) for x in pytree.tree_leaves([call.arguments[a.name]]))
        and a.name not in ("bias",)
    ]
    # A value may be an operand twice; which time it is the one that fires says its number.
    wanted = factors(call)[place]
    ahead = itertools.count()
    number = factors(call)[:place].count(wanted)

    def one_hot(x):
        value = value_of(x)
        if not isinstance(value, Tensor):
            return value
        ones = torch.ones_like(value, dtype=torch.float64)
        if x == wanted and next(ahead) == number:
            ones.zero_()
            ones[index] = 1.0
        return ones

    if kind_of(call.operator).name == "fourier":
        return _transformed(call, value_of(wanted), index)
    given = {}
    for argument in schema_of(call.operator).arguments:
        value = call.arguments[argument.name]
        if argument.name in names:
            given[argument.name] = pytree.tree_map(one_hot, value)
        elif argument.name in ("bias",):
            given[argument.name] = None
        elif argument.name in ("alpha", "beta", "value"):
            given[argument.name] = 1
        else:
            value = pytree.tree_map(value_of, value)
            if isinstance(value, Tensor) and value.is_floating_point():
                # A weight; what is added is nothing that is reached.
                value = torch.full_like(value, float(argument.name != "self"), dtype=torch.float64)
            given[argument.name] = value
    schema = schema_of(call.operator).arguments
    positional = [given[a.name] for a in schema if not a.kwarg_only]
    keywords = {a.name: given[a.name] for a in schema if a.kwarg_only}
    result = call.operator(*positional, **keywords).detach()
    # A part meets both of another complex number, and of a real one that.
    others = [value_of(x) for i, x in enumerate(factors(call)) if i != place]
    meets_pairs = any(isinstance(x, Tensor) and x.is_complex() for x in others)
    parts = (0, 1) if meets_pairs else (part,)
    return {
        (*at, own): float(result[tuple(at)]) for at in result.nonzero().tolist() for own in parts
    }


def _transformed(call, operand, index) -> dict:
    """Return what one value adds to by its row of a transform's matrix: all that it changes."""
    one = torch.zeros(operand.shape, dtype=torch.promote_types(operand.dtype, torch.float64))
    one[index] = complex(0.6, 0.8) if one.is_complex() else 1.0  # of both parts, none is lost
    result = call.operator(**{**call.arguments, "self": one})
    parts = (0, 1) if result.is_complex() else (0,)
    return {(*at, own): 1.0 for at in (result.abs() > 1e-9).nonzero().tolist() for own in parts}


def _named(tree):
    yield from tree.named_parameters()
    yield from tree.named_buffers()


def _count_other(call, value, seen, counts):
    name = operator_name(call.operator)
    given = [
        seen[x] for x in pytree.tree_leaves(list(call.arguments.values())) if isinstance(x, fx.Node)
    ]
    tensors = [x.numel() for x in given if isinstance(x, Tensor)]
    first = pytree.tree_leaves(value)[0]
    if name.startswith(("scatter", "index_")):
        _count_sent(call, given, seen, counts)
    elif name in ALL_VALUES:
        counts["additions"] += max(tensors)
    elif name in ALL_RESULTS:
        counts["additions"] += _numbers(first)
    elif name in COMPARED_VALUES:
        counts["comparisons"] += max(tensors)
    elif name in ("topk", "kthvalue", "median"):
        rows = given[0].movedim(call.arguments["dim"], -1).flatten(0, -2).tolist()
        k = call.arguments.get("k", (len(rows[0]) + 1) // 2)
        counts["comparisons"] += sum(_by_tournament(row, k) for row in rows)
    elif name == "bucketize":  # by halves, of the places between, below and above
        edges = given[1].shape[-1]
        counts["comparisons"] += first.numel() * math.ceil(math.log2(edges + 1))
    elif "_pool" in name:
        kind = "comparisons" if name.startswith("max") else "additions"
        counts[kind] += _pooled(name, call.arguments, given[0], first)
    elif name in TAPS:
        counts["additions"] += TAPS[name] * first.numel()
    elif name in COMPARED_RESULTS:
        counts["comparisons"] += first.numel()


def _numbers(x: Tensor) -> int:
    return x.numel() * (2 if x.is_complex() else 1)


def _count_sent(call, given, seen, counts):
    """Let each value come to its place."""
    choice = call.arguments.get("reduce", "sum" if call.arguments.get("accumulate", True) else "")
    index = [x for x in given if not x.is_floating_point()]
    number = index[0].numel()
    if "source" in call.arguments:
        number = seen[call.arguments["source"]].numel()
    elif "values" in call.arguments:  # each of the first dimension's indices has a whole row
        number *= given[0][0].numel()
    if choice in ("amax", "amin"):
        counts["comparisons"] += number
    elif choice in ("sum", "mean"):
        counts["additions"] += number


def _by_tournament(row: list[float], k: int) -> int:
    """Find the ``k`` largest of a row; return how many comparisons that takes."""
    width = 2 ** math.ceil(math.log2(len(row)))
    tree = [-math.inf] * width + row + [-math.inf] * (width - len(row))
    for i in reversed(range(1, width)):
        tree[i] = max(tree[2 * i : 2 * i + 2])
    comparisons, found = len(row), [tree[1]]  # one for each value: the first has none before it
    for _ in range(k - 1):
        i = tree.index(found[-1], width)
        tree[i] = -math.inf
        while i > 1:
            i //= 2
            tree[i] = max(tree[2 * i : 2 * i + 2])
            comparisons += 1
        found.append(tree[1])
    assert found == sorted(row, reverse=True)[:k]
    return min(comparisons, len(row) * math.ceil(math.log2(max(len(row), 2))))


def _pooled(name: str, arguments, x: Tensor, result: Tensor) -> int:
    """Take each value to each window that it is in, dimension by dimension."""
    dims = int(name.removesuffix("d")[-1])
    count = math.prod(x.shape[:-dims])
    for d in range(-dims, 0):
        length, windows = x.shape[d], result.shape[d]
        if name.startswith("adaptive"):
            starts = [math.floor(i * length / windows) for i in range(windows)]
            ends = [math.ceil((i + 1) * length / windows) for i in range(windows)]
        else:
            given = (arguments[k] for k in ("kernel_size", "stride", "padding"))
            size, stride, padding = (k if isinstance(k, int) else k[max(d, -len(k))] for k in given)
            starts = [i * stride - padding for i in range(windows)]
            ends = [start + size for start in starts]
        pairs = list(zip(starts, ends, strict=True))
        count *= sum(a <= i < b for i in range(length) for a, b in pairs)
    return count
