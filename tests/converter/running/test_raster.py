"""Plots of spikes: each is a dot where and as large as it is."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.converter.running.raster import draw_raster
from snnconvert.errors import ArgumentError, InputError

matplotlib = pytest.importorskip("matplotlib", reason="plots need matplotlib (snnconvert[plot])")
matplotlib.use("Agg")
pyplot = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def close():
    yield
    pyplot.close("all")


def dots(ax):
    """Return the dots of both signs: step, neuron, area."""
    found = []
    for sign, dots in zip((1, -1), ax.collections, strict=True):
        places, areas = dots.get_offsets().tolist(), dots.get_sizes().tolist()
        found += [(sign, *at, area) for at, area in zip(places, areas, strict=True)]
    return sorted(found)


def test_a_spike_is_a_dot_of_its_size_and_sign():
    spikes = torch.zeros(4, 3)
    spikes[0, 2], spikes[1, 0], spikes[3, 1] = 2.0, -1.0, 0.5
    ax = draw_raster(spikes, "here", 10, None)
    assert dots(ax) == [(-1, 1, 0, 15), (1, 0, 2, 30), (1, 3, 1, 7.5)]
    red, blue = (c.get_facecolor()[0] for c in ax.collections)
    assert red[0] > red[2] and blue[2] > blue[0]
    assert ax.get_title() == "here"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time step", "neuron")
    assert ax.get_xlim() == (-0.5, 3.5) and ax.get_ylim() == (-0.5, 2.5)


def test_of_many_neurons_some_are_drawn_and_it_is_said():
    ax = draw_raster(torch.ones(2, 5000), "here", 4, None)
    assert ax.get_title() == "here\n4 of 5,000 neurons, evenly spaced"
    assert {n for _, _, n, _ in dots(ax)} == {0, 1666, 3332, 4999}
    assert {area for *_, area in dots(ax)} == {30}
    whole = draw_raster(torch.ones(2, 5000), "here", 5000, None)
    assert whole.get_title() == "here"
    assert {area for *_, area in dots(whole)} == {4}
    assert {n for _, _, n, _ in dots(draw_raster(torch.ones(2, 9), "here", 1, None))} == {0}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_no_spikes_and_other_dtypes_are_drawn(dtype):
    ax = draw_raster(torch.zeros(3, 2, dtype=dtype), "here", 10, None)
    assert dots(ax) == []
    ax.figure.canvas.draw()


def test_it_draws_on_what_is_given():
    _, ax = pyplot.subplots()
    assert draw_raster(torch.ones(2, 2), "here", 10, ax) is ax


@pytest.mark.parametrize("most", [0, -1, 1.5, True])
def test_how_many_are_drawn_is_checked(most):
    with pytest.raises(ArgumentError, match=f"most={most}: allowed is a whole number >= 1"):
        draw_raster(torch.ones(2, 2), "here", most, None)


def test_a_sample_of_a_recording_is_drawn():
    x = torch.randn(4, 6)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    snn = snnconvert.convert(model, (x,), "spiking", calibration=[x], verify=False)
    with snn.record() as seen:
        snn.simulate(x, time_steps=5)
    ax = seen.plot("2.input_neuron", sample=2)
    spikes = seen.spikes["2.input_neuron"][:, 2]
    wanted = {(int(t), int(n)) for t, n in spikes.nonzero()}
    assert {(t, n) for _, t, n, _ in dots(ax)} == wanted and wanted
    for sample in (4, -1, True):
        with pytest.raises(ArgumentError, match=f"sample={sample}: .* from 0 to 3"):
            seen.plot("2.input_neuron", sample=sample)
    with pytest.raises(ArgumentError, match=r"site='2': none of this name is recorded"):
        seen.plot("2")
    with snn.record(what="drive") as seen:
        snn.simulate(x)
    with pytest.raises(InputError, match="'spikes' is not kept"):
        seen.plot("2.input_neuron")


def test_nothing_but_a_plot_imports_matplotlib():
    code = "import sys, snnconvert; snnconvert.Recording; print('matplotlib' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert ran.stdout == "False\n", ran.stderr
