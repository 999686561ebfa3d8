"""Worker processes that outlive neither their time nor their caller, and may die on the way.

A pool of `concurrent.futures` is lost as a whole when one of its processes dies. Here each worker
has a pipe of its own: one that dies, or is stopped, costs the task that it had, and is replaced.
"""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from pathlib import Path
from threading import RLock
from typing import Any, Generic, TypeVar

import torch
from tqdm import tqdm

Task = TypeVar("Task")
Answer = TypeVar("Answer")
_STARTS_WITHIN = 300.0  # seconds that a new process may take to import everything
_SAFE_PATH = "PYTHONSAFEPATH"
_ENDS_WITHIN = 10.0  # seconds that a process may take to end once its pipe has


@dataclass(frozen=True)
class _Begun:
    """What a worker sends when it begins a task: from here on its time counts."""


@dataclass(frozen=True)
class Lost:
    """What came of a task whose worker died or was stopped."""

    reason: str
    seconds: float


def run_in_workers(
    function: Callable[[Task], Answer],
    tasks: Sequence[Task],
    jobs: int,
    timeout: float | None,
    threads: int | None,
) -> Iterator[tuple[Task, Answer | Lost]]:
    """Yield each task with what ``function`` returned for it, in the order in which they finish.

    Args:
        function: importable by its name; it must not raise, nor return None.
        tasks: picklable.
        jobs: number of processes.
        timeout: seconds that a task may take, without the start of its process; None: any.
        threads: of torch in each process; None: torch's own choice.
    """
    waiting = deque(tasks)
    busy: list[_Worker[Task, Answer]] = []
    idle: list[_Worker[Task, Answer]] = []
    try:
        while waiting or busy:
            while waiting and len(busy) < jobs:
                worker = idle.pop() if idle else _Worker(function, threads)
                worker.give(waiting.popleft(), timeout)
                busy.append(worker)
            _wait(busy)
            for worker in list(busy):
                answer = worker.answer()
                if answer is None:
                    continue
                busy.remove(worker)
                if isinstance(answer, Lost):
                    worker.stop()
                else:
                    idle.append(worker)
                yield worker.task, answer
    finally:
        for worker in [*busy, *idle]:
            worker.stop()


def _wait(busy: Sequence[_Worker[Any, Any]]) -> None:
    """Return when a worker has something to say, or the first has used up its time."""
    left = min(worker.deadline for worker in busy) - time.monotonic()
    connection.wait(
        [worker.pipe for worker in busy], None if left == float("inf") else max(left, 0)
    )


class _Worker(Generic[Task, Answer]):
    """One process, its pipe, and the task that it has."""

    def __init__(self, function: Callable[[Task], Answer], threads: int | None) -> None:
        context = get_context("spawn")
        descriptor, name = tempfile.mkstemp(prefix="snnconvert-", suffix=".log")
        os.close(descriptor)
        self.log = Path(name)
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(
            target=_serve, args=(theirs, function, threads, name), daemon=True
        )
        with _safe_path():
            self.process.start()
        theirs.close()  # so that the pipe ends when the process does
        self.task: Task
        self.idle = True
        self.timeout: float | None = None
        self.began = self.deadline = 0.0

    def give(self, task: Task, timeout: float | None) -> None:
        self.task, self.timeout, self.idle = task, timeout, False
        self.began = time.monotonic()
        self.deadline = self.began + _STARTS_WITHIN
        with contextlib.suppress(OSError):  # it has died; answer() will say so
            self.pipe.send(task)

    def answer(self) -> Answer | Lost | None:
        """Return what came of the task; None where it is not done."""
        try:
            while self.pipe.poll():
                received = self.pipe.recv()
                if not isinstance(received, _Begun):
                    answer: Answer = received
                    self.idle = True
                    return answer
                self.began = time.monotonic()
                self.deadline = self.began + (self.timeout or float("inf"))
        except (EOFError, OSError):
            return self._lost(self._death())
        if time.monotonic() >= self.deadline:
            return self._lost(f"stopped after {self.deadline - self.began:g} seconds")
        return None

    def stop(self) -> None:
        self.pipe.close()  # an idle process ends by itself then, and cleans up
        if not self.idle:
            self.process.kill()
        self.process.join(_ENDS_WITHIN)
        self.process.kill()
        self.process.join()
        self.log.unlink(missing_ok=True)

    def _lost(self, reason: str) -> Lost:
        return Lost(reason, time.monotonic() - self.began)

    def _death(self) -> str:
        self.process.join(_ENDS_WITHIN)
        code = self.process.exitcode or 0
        how = f"exit code {code}" if code >= 0 else _signal_name(-code)
        said = self.log.read_text(encoding="utf-8", errors="replace").split("\n")
        last = next((line.strip() for line in reversed(said) if line.strip()), "")
        return f"the process died ({how})" + (f"; its last words: {last[:300]}" if last else "")


@contextlib.contextmanager
def _safe_path() -> Iterator[None]:
    """Keep the working directory out of the search path of a Python that is started within.

    A new process is told of its parent's search path, but it has imported modules before that.
    """
    before = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_SAFE_PATH]
        else:
            os.environ[_SAFE_PATH] = before


def _signal_name(number: int) -> str:
    name = next((s.name for s in signal.Signals if s == number), f"signal {number}")
    return f"{name}, out of memory?" if name == "SIGKILL" else name


def _serve(pipe: Connection, function: Callable[[Any], Any], threads: int | None, log: str) -> None:
    """Answer tasks until the pipe ends; the process's output goes to the log."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when it is over
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    tqdm.set_lock(RLock())  # its own lock is the system's, and outlives a process that is killed
    if threads is not None:
        torch.set_num_threads(threads)
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        os.truncate(log, 0)
        pipe.send(_Begun())
        pipe.send(function(task))
