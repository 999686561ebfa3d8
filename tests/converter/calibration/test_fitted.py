"""What calibration finds for a site makes its neuron, anew each time."""

from __future__ import annotations

import pytest
import torch

from snnconvert.converter.calibration.fitted import Fitted
from snnconvert.errors import InputError
from snnconvert.ops.neurons import STBIF, MultiThreshold
from snnconvert.ops.targets import DRIVE, clip

FACTS = {"statistic": "max", "error": 0.0, "saturated": 0.0, "rate": 0.0, "dead": 0}


def test_the_neuron_is_what_was_found():
    rest = torch.tensor([0.5, 0.0, 1.0])
    fitted = Fitted(
        "multi_threshold",
        clip(-1.0, 2.0),
        torch.tensor([1.0, 2.0, 3.0]),
        rest,
        2,
        {"levels": 5, "per_octave": 2, "gain": "inverse_time"},
        **FACTS,
    )
    neuron = fitted.neuron()
    assert type(neuron) is MultiThreshold
    assert neuron.v_threshold.tolist() == [1.0, 2.0, 3.0] and torch.equal(neuron.rest, rest)
    assert (neuron.axis, neuron.target) == (2, clip(-1.0, 2.0))
    assert (neuron.ladder.levels, neuron.alphabet.per_octave, neuron.gain) == (5, 2, "inverse_time")
    assert neuron(torch.randn(3, 2, 4, 3)).shape == (3, 2, 4, 3)


def test_every_neuron_has_a_state_and_a_threshold_of_its_own():
    fitted = Fitted(
        "st_bif", DRIVE, torch.tensor(0.5), torch.tensor(0.0), None, {"low": -2, "high": 2}, **FACTS
    )
    first, second = fitted.neuron(), fitted.neuron()
    assert type(first) is STBIF and (first.low, first.high) == (-2, 2)
    assert first.step(torch.ones(1, 2)).tolist() == [[0.5, 0.5]]
    first.v_threshold.mul_(2)
    assert second.step(torch.ones(1, 2)).tolist() == [[0.5, 0.5]]
    assert fitted.v_threshold == 0.5


def test_thresholds_that_no_neuron_has_are_refused():
    fitted = Fitted(
        "st_bif",
        DRIVE,
        torch.tensor(-0.5),
        torch.tensor(0.0),
        None,
        {"low": -2, "high": 2},
        **FACTS,
    )
    with pytest.raises(InputError, match="finite and above 0"):
        fitted.neuron()
