"""Conversions in threads and processes, and copies of conversions that share nothing."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

import snnconvert

X = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
RULES = ["default", "spiking"]


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 3)).eval()


def converted(rules: str, model: nn.Module | None = None) -> snnconvert.ConvertedModule:
    return snnconvert.convert(model or network(), (X,), rules, calibration=[(X,)] * 2, time_steps=4)


def answer(rules: str, model: nn.Module | None = None) -> Tensor:
    with torch.no_grad():
        found: Tensor = converted(rules, model).simulate(X)
    return found


def same(found: Tensor, expected: Tensor) -> None:
    """Compare answers; kernels round by where their operands lie, which may move a spike."""
    torch.testing.assert_close(found[-1], expected[-1], rtol=1e-4, atol=1e-5)


class Conversions(Dataset[Any]):
    """Converts in whatever process asks."""

    def __len__(self) -> int:
        return len(RULES)

    def __getitem__(self, index: int) -> Tensor:
        return answer(RULES[index])


@pytest.mark.parametrize("rules", RULES)
def test_conversions_at_once_in_threads(rules):
    expected = answer(rules)
    models = [network() for _ in range(8)]  # here, since random numbers are the process's own
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(answer, [rules] * 8, models):
            same(found, expected)
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_conversions_in_the_workers_of_a_data_loader(method):
    loader = DataLoader(
        Conversions(), batch_size=None, num_workers=2, multiprocessing_context=method
    )
    for found, rules in zip(loader, RULES, strict=True):
        same(found, answer(rules))


def _serve(snn: Any, pipe: Any) -> None:
    with torch.no_grad():
        pipe.send(snn.simulate(X).numpy())
    pipe.close()


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("rules", RULES)
def test_a_conversion_is_sent_to_another_process(method, rules):
    context = multiprocessing.get_context(method)
    snn = converted(rules)
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(snn, theirs))
    process.start()
    theirs.close()
    assert ours.poll(120)
    found = torch.from_numpy(ours.recv())
    process.join(120)
    assert process.exitcode == 0
    same(found, answer(rules))


@pytest.mark.parametrize("rules", RULES)
def test_copies_have_states_and_weights_of_their_own(rules):
    snn = converted(rules)
    x_seq = torch.randn(4, 3, 4)
    with torch.no_grad():
        whole = snn(x_seq)
        torch.testing.assert_close(snn.step(x_seq[0]), whole[0])
        twin = copy.deepcopy(snn)
        # The copy goes on from where it was made; what either does next is its own.
        torch.testing.assert_close(twin.step(x_seq[1]), whole[1])
        snn.reset()
        torch.testing.assert_close(snn.step(x_seq[0]), whole[0])
        torch.testing.assert_close(twin.step(x_seq[2]), whole[2])
        next(twin.parameters()).zero_()
        snn.reset()
        torch.testing.assert_close(snn(x_seq), whole)


@pytest.mark.parametrize("rules", RULES)
def test_a_pickle_begins_at_rest_with_the_same_answers(rules):
    snn = converted(rules)
    x_seq = torch.randn(4, 3, 4)
    with torch.no_grad():
        whole = snn(x_seq)
        snn.step(x_seq[0])
        again = pickle.loads(pickle.dumps(snn))
        torch.testing.assert_close(again(x_seq), whole)
        torch.testing.assert_close(again.step(x_seq[0]), whole[0])
    assert again.report == snn.report
