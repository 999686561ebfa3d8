"""What is recorded of runs is what neurons did, of any run of the same increments the same."""

from __future__ import annotations

import copy
import pickle
import sys
import weakref

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.converter.running.recorded_run import places_of
from snnconvert.errors import ArgumentError, DependencyError, InputError, StateError
from snnconvert.ops.encoding import AtOnce
from snnconvert.ops.neurons.recorded import KINDS
from snnconvert.rules import parse_rules
from snnconvert.torch_private import pytree
from tests.converter.running.conftest import Net
from tests.converter.running.test_until import CASES, NETWORKS, Early, Mixed, converted, rules_of

T = 6
FLOATS = ("spikes", "membrane", "drive")
LADDER, BINARY = "multi_threshold, levels: 12", "st_bif, levels: 8"
RECORDED = [(name, LADDER) for name in NETWORKS if name != "rectified"]
RECORDED += [case for case in CASES if case[0] == "rectified"]


def kept(seen):
    """Return all that is kept, by kind and site."""
    return {(kind, site): x for kind in seen.what for site, x in getattr(seen, kind).items()}


def assert_same(found, wanted, **near):
    assert found.keys() == wanted.keys() and found
    for key, x in wanted.items():
        torch.testing.assert_close(found[key], x, **(near or {"rtol": 0, "atol": 0}))


def looked_at(snn, steps, dims):
    """Return what neurons are told and tell at each step, cumulative ``[T, ...]`` by site, as hooks
    see them step by step."""
    paths = list(snn.conversion.neurons.values())
    told = {}
    handles = [
        snn.get_submodule(path).register_forward_hook(
            lambda m, given, y, path=path: told.setdefault(path, []).append((given[0], y))
        )
        for path in set(paths)
    ]
    for x in steps:
        snn.step(x)
    snn.reset()
    for handle in handles:
        handle.remove()
    found = {}
    for path, calls in told.items():
        count = paths.count(path)
        for n in range(count):
            site = path if count == 1 else f"{path}[{n}]"
            own = calls[n::count]
            found[site] = tuple(torch.stack([call[i] for call in own]) for i in (0, 1))
    return found


@pytest.mark.parametrize(("name", "neuron"), RECORDED)
def test_it_is_what_neurons_were_told_and_told(name, neuron):
    snn, x, dim = converted(name, neuron)
    increments = Early().cumulative(x, 0, T, T).diff(dim=0, prepend=torch.zeros_like(x)[None])
    plain = snn(increments)
    with snn.record(what=KINDS) as seen:
        outputs = snn(increments)
    pairs = zip(*(map(pytree.tree_leaves, (outputs, plain))), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    wanted = looked_at(snn, increments, dim)
    assert seen.steps == T and set(seen.sites) == wanted.keys()
    near = {"rtol": 1e-9, "atol": 1e-9}
    for site, (drive, reached) in wanted.items():
        own = snn.get_submodule(site.partition("[")[0])
        rest = own.resting(drive[0])
        torch.testing.assert_close(seen.drive[site].cumsum(0), drive, **near)
        torch.testing.assert_close(seen.spikes[site].cumsum(0) + rest, reached, **near)
        changed = reached.diff(dim=0, prepend=rest.expand_as(drive[0])[None]) != 0
        if own.bursts == 1:
            assert torch.equal(seen.counts[site], changed.int())
        else:
            assert bool(((seen.counts[site] > 0) | ~changed).all())
        if "lif" not in neuron and "hard" not in neuron:
            left = own.target(drive) - reached
            torch.testing.assert_close(seen.membrane[site], left, **near)


@pytest.mark.parametrize("encoding", ["at_once", "constant", Early()])
@pytest.mark.parametrize(("name", "neuron"), [*RECORDED[2:4], *RECORDED[-4:]])
def test_runs_of_the_same_increments_are_recorded_alike(name, neuron, encoding):
    snn, x, _ = converted(name, neuron)
    of = AtOnce() if encoding == "at_once" else encoding
    near = {"rtol": 1e-9, "atol": 1e-9}
    with snn.record(what=KINDS) as seen:
        snn.simulate(x, time_steps=T, encoding=encoding)
        whole = kept(seen)
        for chunk in (1, 4, T):
            snn.simulate(x, time_steps=T, encoding=encoding, chunk=chunk)
            assert_same(kept(seen), whole, **near)
        if isinstance(of, str):
            return
        cumulative = of.cumulative(x, 0, T, T)
        snn.cumulative(cumulative)
        assert_same(kept(seen), whole, **near)
        for x_t in cumulative.diff(dim=0, prepend=torch.zeros_like(x)[None]):
            snn.step(x_t)
    assert_same(kept(seen), whole, **near)


@pytest.mark.parametrize("neuron", [BINARY, "lif, tau: 1.0", "integrate_and_fire, reset: hard"])
def test_a_run_that_ends_early_is_recorded_whole(neuron):
    snn, x, _ = converted("rectified", neuron)
    calls = []
    snn.get_submodule("a").register_forward_hook(lambda m, given, y: calls.append(len(y)))
    with snn.record(what=KINDS) as seen:
        snn.simulate(x, time_steps=64, chunk=64)
        whole, most = kept(seen), sum(calls)
        calls.clear()
        snn.simulate(x, time_steps=64, chunk=4)
    assert sum(calls) < most
    assert seen.steps == 64
    assert_same(kept(seen), whole)


def halfway(snn, x):
    """Return a margin that some samples reach before others."""
    scores = snn.simulate(x)
    first, second = scores.topk(2, -1).values.unbind(-1)
    leads = (first - second).reshape(*scores.shape[:2], -1).amin(2)
    for margin in leads.flatten().sort().values:
        steps = torch.cat([leads >= margin, torch.ones(1, 7) > 0]).int().argmax(0)
        if margin > 0 and int(steps.min()) < int(steps.max()):
            return float(margin) * (1 - 1e-9)
    raise AssertionError


@pytest.mark.parametrize("name", ["heads", "windows", "rectified"])
@pytest.mark.parametrize("until", ["settled", halfway])
def test_a_sample_that_stopped_does_nothing_more(name, until):
    snn, x, dim = converted(name, BINARY)
    until = until if isinstance(until, str) else until(snn, x)
    outer = {place.site: place.outer for place in places_of(snn.graph, snn.tree).values()}
    alone = {}
    with snn.record(what=KINDS) as seen:
        snn.simulate(x, time_steps=16, chunk=1)
        whole = kept(seen)
        found = snn.simulate(x, time_steps=16, until=until)
        stopped = kept(seen)
        for n, steps in enumerate(found.steps.tolist()):
            snn.simulate(x.narrow(dim, n, 1), time_steps=16, chunk=1)
            for (kind, site), own in kept(seen).items():
                own[steps:] = own[steps - 1] if kind == "membrane" else 0
                alone.setdefault((kind, site), []).append(own)
    assert int(found.steps.min()) < int(found.steps.max())
    near = {"rtol": 1e-9, "atol": 1e-9}
    for key, parts in alone.items():
        # Samples lie along the dimension in which a batch of one is smaller.
        (along,) = (d for d, n in enumerate(parts[0].shape) if n != whole[key].shape[d])
        own = torch.stack([p.unflatten(along, (outer[key[1]], -1)) for p in parts], along + 1)
        torch.testing.assert_close(stopped[key], own.flatten(along, along + 2), **near)
    if until == "settled":
        assert_same(stopped, whole, **near)
    else:
        assert any(not torch.equal(stopped[key], whole[key]) for key in whole)


def test_what_runs_step_by_step_is_recorded():
    x = torch.randn(5, 4)
    snn = snnconvert.convert(
        Mixed().eval(), (x,), rules_of(f"type: {BINARY}"), calibration=[x], verify=False
    )
    assert snn.conversion.step_by_step
    with snn.record(what=KINDS) as seen:
        snn.simulate(x, time_steps=8)
        whole = kept(seen)
        snn.cumulative(x.expand(8, 5, 4))
        assert_same(kept(seen), whole)
        with pytest.raises(ArgumentError, match=r"sample=1: .* from 0 to 0"):
            seen.plot(seen.sites[0], sample=1)


def test_outputs_and_gradients_do_not_change(spiking):
    x, outputs, grads = torch.randn(3, 4), [], []
    for what in (None, KINDS):
        with spiking.record(what=what or "spikes") as seen:
            if what is None:
                seen.__exit__(None, None, None)
            outputs.append(spiking.simulate(x, time_steps=5))
        grads.append(torch.autograd.grad(outputs[-1].square().sum(), list(spiking.parameters())))
    assert torch.equal(*outputs)
    assert all(map(torch.equal, *grads))
    assert not any(y.requires_grad for y in kept(seen).values())


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_records_without_gradients(spiking, mode):
    x = torch.randn(3, 4)
    with spiking.record(what=KINDS) as seen:
        spiking.simulate(x, time_steps=5)
        whole = kept(seen)
        with mode():
            spiking.simulate(x, time_steps=5)
    assert_same(kept(seen), whole)


def test_steps_are_added_until_a_reset(spiking):
    x = torch.randn(3, 4)
    with spiking.record(what=KINDS) as seen:
        for _ in range(3):
            spiking.step(x)
        first = kept(seen)
        assert seen.steps == 3
        spiking.step(x)
        assert all(torch.equal(x[:3], first[key]) for key, x in kept(seen).items())
        spiking.reset()
        spiking.step(x)
        assert seen.steps == 1
        spiking.simulate(x, time_steps=2)
        assert seen.steps == 2
        with pytest.raises(StateError, match="drive of step 1 is not known"):
            spiking.step(x)
    with spiking.record(what="spikes") as later:
        spiking.step(x)  # without the increments that came before, of which spikes know
    assert later.steps == 1
    spiking.reset()
    with spiking.record(what=KINDS) as seen:
        for n in range(2):
            spiking.step(x)
            assert seen.steps == n + 1
        assert all(torch.equal(a[1], first[key][1]) for key, a in kept(seen).items())
    assert torch.equal(kept(later)["spikes", later.sites[0]][0], first["spikes", later.sites[0]][1])


def test_a_step_that_fails_is_not_recorded(spiking):
    x = torch.randn(3, 4)
    with spiking.record(what=KINDS) as seen:
        spiking.step(x)
        spiking.step(x * 2)
        whole = kept(seen)
        spiking.reset()
        spiking.step(x)

        def fail(*_):
            raise RuntimeError("stop")

        handle = spiking.head.register_forward_pre_hook(fail)
        with pytest.raises(RuntimeError, match="stop"):
            spiking.step(x * 2)
        handle.remove()
        assert seen.steps == 1
        spiking.step(x * 2)
        assert_same(kept(seen), whole)
        handle = spiking.head.register_forward_pre_hook(fail)
        with pytest.raises(RuntimeError, match="stop"):
            spiking.simulate(x)
        handle.remove()
        with pytest.raises(StateError, match="nothing is recorded"):
            _ = seen.spikes


def test_several_record_what_each_is_asked_for(spiking):
    x = torch.randn(3, 4)
    first, second = spiking.record("block*"), spiking.record(("head*", "b*"), KINDS)
    with first, second:
        spiking.simulate(x)
        with pytest.raises(StateError, match="is on already"), first:
            pass
    assert first.sites == ("block.0.input_neuron",)
    assert second.sites == ("block.0.input_neuron", "head.input_neuron")
    assert torch.equal(first.spikes[first.sites[0]], second.spikes[first.sites[0]])
    spiking.simulate(x * 2)
    before = kept(first)
    with first:
        spiking.simulate(x * 2)
    assert not all(torch.equal(x, before[key]) for key, x in kept(first).items())


def test_it_stops_with_its_block_also_by_an_exception(spiking):
    with pytest.raises(KeyError), spiking.record() as seen:
        spiking.simulate(torch.randn(3, 4), time_steps=2)
        raise KeyError
    spiking.simulate(torch.randn(3, 4), time_steps=7)
    assert seen.steps == 2


def test_one_run_is_held_and_nothing_that_was_not_asked_for(spiking):
    with spiking.record("head*") as seen:
        spiking.simulate(torch.randn(3, 4))
        old = weakref.ref(seen.spikes["head.input_neuron"])
        assert old() is not None
        spiking.simulate(torch.randn(3, 4))
        assert old() is None
        spiking.reset()
        spiking.step(torch.randn(3, 4))
        old = weakref.ref(seen.spikes["head.input_neuron"])
    del seen
    assert old() is None  # the steps of the module go on without it


def test_a_copy_is_recorded_by_none(spiking):
    with spiking.record() as seen:
        spiking.step(torch.randn(3, 4))
        for own in (copy.deepcopy(spiking), pickle.loads(pickle.dumps(spiking))):
            own.step(torch.randn(3, 4))
            own.simulate(torch.randn(3, 4))
            assert not own._recordings
        assert seen.steps == 1
        spiking.step(torch.randn(3, 4))
        assert seen.steps == 2


def test_a_twin_and_a_loaded_conversion_record_alike(spiking, tmp_path):
    x, found = torch.randn(3, 4), []
    spiking.save(tmp_path / "net.snn")
    for snn in (spiking, copy.deepcopy(spiking), snnconvert.load(tmp_path / "net.snn")):
        with snn.record(what=KINDS) as seen:
            snn.simulate(x, time_steps=3)
        found.append(kept(seen))
    assert_same(found[1], found[0])
    assert_same(found[2], found[0])


def test_values_are_of_the_dtype_of_the_run(spiking):
    x = torch.randn(3, 4)
    with spiking.record(what=KINDS) as seen:
        spiking.step(x)
        spiking.double()
        spiking.step(x.double())
        assert seen.steps == 2
        spiking.half()
        spiking.simulate(x.half(), time_steps=3)
    kinds = {kind: {y.dtype for (k, _), y in kept(seen).items() if k == kind} for kind in KINDS}
    assert kinds == {kind: {torch.float16} for kind in FLOATS} | {"counts": {torch.int32}}


def test_a_compiled_conversion_is_recorded():
    x, increments = torch.randn(4, 3), torch.randn(3, 2, 3)
    model = nn.Linear(3, 2).eval().requires_grad_(False)
    snn = snnconvert.convert(model, (x,), "spiking", calibration=[x], verify=False)
    compiled = torch.compile(snn, backend="eager")
    plain = compiled(increments)
    with snn.record(what=KINDS) as seen:
        snn(increments)
        whole = kept(seen)
        seen.begin(None, 0, None)
        assert torch.equal(compiled(increments), plain)
    assert_same(kept(seen), whole)
    torch.compiler.reset()


def test_a_verification_is_not_recorded(spiking):
    x = torch.randn(3, 4)
    with spiking.record() as seen:
        spiking.simulate(x, time_steps=7)
        whole = kept(seen)
        snnconvert.verify(Net().eval(), spiking, data=[x], until="settled")
    assert_same(kept(seen), whole)


@pytest.mark.parametrize("name", ["lstm", "transformer"])
def test_rates_are_those_of_the_report(name):
    torch.manual_seed(1)
    build, shape, dim = NETWORKS[name]
    model, x = build().eval(), torch.randn(shape)
    options = {"calibration": [x], "batch_dims": dim, "verify": False}
    rules = parse_rules("version: 1\nextends: spiking\ntime_steps: 3\nrules: []\n")
    snn = snnconvert.convert(model, (x,), rules, **options)
    report = snnconvert.verify(model, snn, data=[x])
    with snn.record(what="counts") as seen:
        snn.simulate(x)
    rates = {}
    for site, rate in seen.rates().items():
        rates.setdefault(site.partition("[")[0], []).append(rate)
    found = {site: sum(own) / len(own) for site, own in rates.items()}
    assert found == pytest.approx({site.name: site.rate for site in report.spiking.sites})


def test_rates_are_of_spikes_where_each_is_one():
    snn, x, _ = converted("rectified", BINARY)
    with snn.record(what=("spikes", "counts")) as both, snn.record() as spikes:
        snn.simulate(x)
    assert spikes.rates() == both.rates()
    assert min(both.rates().values()) > 0


def test_rates_need_counts_where_answers_are_several(spiking):
    with spiking.record() as seen:
        spiking.simulate(torch.randn(3, 4))
    with pytest.raises(InputError, match=r"up to 3 answers a step .* keeps no 'counts'; add them"):
        seen.rates()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sites": "block"}, r"sites='block': matches none; did you mean 'block\.\*'\? sites: bl"),
        ({"sites": "heed.*"}, r"did you mean 'head\.\*'\?"),
        ({"sites": ["*", "x[z-a]"]}, "is no glob: the range 'z-a'"),
        ({"sites": []}, r"sites=\[\]: allowed are a text and several, at least one"),
        ({"sites": 3}, "sites=3: allowed are a text and several"),
        ({"what": "spike"}, "did you mean 'spikes'. allowed: spikes, counts, membrane, drive"),
        ({"what": ()}, "what=.*: allowed are a text and several"),
    ],
)
def test_what_cannot_be_recorded_is_told(spiking, options, said):
    with pytest.raises(ArgumentError, match=said):
        spiking.record(**options)


def test_a_network_without_neurons_is_told():
    snn = snnconvert.convert(Net().eval(), (torch.randn(2, 4),), verify=False)
    with pytest.raises(InputError, match=r"has no neurons, .* such as rules='spiking'"):
        snn.record()


def test_neurons_that_were_replaced_are_told(spiking):
    class Own(nn.Module):
        def track(self, x, *_):
            return x

    spiking.get_submodule("block.0").register_module("input_neuron", Own())
    spiking.simulate(torch.randn(2, 4))
    with pytest.raises(InputError, match=r"'block\.0\.input_neuron' was replaced by a Own"):
        spiking.record()


def test_sites_that_share_a_neuron_have_numbers():
    snn, x, _ = converted("lstm", LADDER)
    with snn.record("lstm.hidden_l0_neuron") as seen, snn.record("*neuron[[]1]") as one:
        snn.simulate(x)
    assert seen.sites == tuple(f"lstm.hidden_l0_neuron[{n}]" for n in range(len(seen.sites)))
    assert one.sites == seen.sites[1:2]
    assert snn.record(seen.sites[1]).sites == one.sites
    assert torch.equal(one.spikes[one.sites[0]], seen.spikes[one.sites[0]])


def test_what_is_not_kept_is_told(spiking):
    with spiking.record("block*") as seen:
        with pytest.raises(StateError, match="nothing is recorded: no run has ended inside"):
            _ = seen.spikes
        spiking.simulate(torch.randn(2, 4))
    with pytest.raises(InputError, match=r"'drive' is not kept, .* what=\('spikes',\); add it"):
        _ = seen.drive
    with pytest.raises(ArgumentError, match=r"site='block\.0': .*; sites: block\.0\.input_neuron$"):
        _ = seen.spikes["block.0"]
    assert "head.input_neuron" not in seen.spikes
    assert seen.spikes.get("head.input_neuron") is None


def test_it_says_what_it_holds(spiking):
    with spiking.record() as seen:
        assert repr(seen) == "Recording of 0 steps at 2 sites: spikes"
        spiking.simulate(torch.randn(2, 4), time_steps=5)
    assert repr(seen).splitlines() == [
        "Recording of 5 steps at 2 sites: spikes",
        "  block.0.input_neuron  [5, 2, 4]",
        "  head.input_neuron     [5, 2, 8]",
    ]


def test_without_matplotlib_a_plot_says_what_to_install(spiking, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with spiking.record() as seen:
        spiking.simulate(torch.randn(2, 4))
    with pytest.raises(DependencyError, match=r"pip install 'snnconvert\[plot\]'"):
        seen.plot("head.input_neuron")
