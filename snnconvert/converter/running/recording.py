"""Recordings: what neurons do in the runs of a conversion, kept to be looked at."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from torch import Tensor

from snnconvert.converter.building.conversion import Conversion
from snnconvert.converter.running.encoded import samples_of
from snnconvert.converter.running.raster import draw_raster
from snnconvert.converter.running.recorded_run import Place, RecordedRun
from snnconvert.errors import ArgumentError, InputError, StateError
from snnconvert.ops.neurons.recorded import KINDS
from snnconvert.rules.globs import GlobError, compile_globs
from snnconvert.wording import listed, suggestion

if TYPE_CHECKING:
    from typing_extensions import Self


class Recordings(list["Recording"]):
    """The recordings that see the runs of a module now. A copy of the module is seen by none."""

    def begin(
        self, conversion: Conversion, leaves: Sequence[Any], *, timed: bool = False
    ) -> tuple[RecordedRun, ...]:
        """Begin a run.

        Args:
            conversion: what is run.
            leaves: its inputs.
            timed: whether coded ones have time in front, ``[T, B, ...]``.
        """
        return tuple(r.begin(None, 0, _samples(conversion, leaves, timed)) for r in self)

    def go_on(
        self, conversion: Conversion, leaves: Sequence[Any], run: object, start: int
    ) -> tuple[RecordedRun, ...]:
        """Go on with a run, known by an object, at a step (else as `begin`)."""
        return tuple(r.go_on(run, start, _samples(conversion, leaves)) for r in self)

    def __reduce__(self) -> tuple[type[Recordings], tuple[()]]:
        return Recordings, ()


def _samples(conversion: Conversion, leaves: Sequence[Any], timed: bool = False) -> int | None:
    """Return the number of samples of a run; None where they cannot be told apart."""
    if conversion.step_by_step:
        return None
    return samples_of(leaves, conversion.source.inputs, timed=timed)


class Recording:
    """What the neurons of some sites did in a run: `snnconvert.ConvertedModule.record`.

    With the cumulative drive ``X_t`` of a neuron, its target ``A_t`` (the drive itself, its clip,
    or a function of it), and the sum of its spikes ``R_t``, from ``R_{-1} = rest`` and ``X_{-1} =
    0`` on, at the end of step ``t``:

    =============  =========================  ======================================================
    ``spikes``     ``s_t = R_t - R_{t-1}``    what it emits: a signed, graded value; with ``bursts:
                                              K`` the sum of the up to K spikes of the step
    ``counts``     0 to ``K``                 how many spikes these are (int32)
    ``membrane``   ``v_t = A_t - R_t``        what of the target is left to be said; of an ``lif``
                                              neuron its leaky potential after the reset, and with a
                                              hard reset without what that discards
    ``drive``      ``x_t = X_t - X_{t-1}``    the increment that came in
    =============  =========================  ======================================================

    Each is a dict of tensors ``[T, ...]`` by site, of the shape of the neuron's drive in a step:
    ``[B, ...]``, or with the batch elsewhere where the source has moved it. They are in the unit,
    in the dtype and on the device of the drive, in memory of their own, without a gradient.

    A recording holds one run, the last: a sequence (`forward`, `cumulative`), a `simulate`, or the
    steps (`step`) since the last `reset`, as far as they were seen. Steps that a run did not take,
    because nothing could change any more, or a sample because of ``until=``, have no spikes, no
    drive, and the membrane of the step before. A run that raised is not held, nor a step that did.

    While it is entered it sees the runs of the very module, compiled (``torch.compile``) or not;
    a copy of that (``copy.deepcopy``), and what `snnconvert.verify` runs, it does not.

    Attributes:
        sites: names of the sites: paths of their neurons, as in reports; where several share one
            neuron (the positions of a recurrence), with a number: ``lstm.hidden_l0_neuron[3]``.
        what: which of the above are kept.

    Raises:
        InputError: what is asked for is not kept.
        StateError: nothing has run yet.
    """

    def __init__(
        self, places: Mapping[str, Place], what: tuple[str, ...], active: Recordings
    ) -> None:
        self._places, self.what, self._active = places, what, active
        self.sites = tuple(place.site for place in places.values())
        self._run: RecordedRun | None = None
        self._of: object = None

    def __enter__(self) -> Self:
        if any(recording is self for recording in self._active):
            raise StateError("this recording is on already; ask record() for another one")
        self._active.append(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._active[:] = [recording for recording in self._active if recording is not self]

    def begin(self, run: object, start: int, samples: int | None) -> RecordedRun:
        """Begin a run, known by an object (None: it does not go on), and drop the one before.

        Raises:
            StateError: the drive of its first step is not known, as the run has begun before.
        """
        if start and "drive" in self.what:
            raise StateError(
                f"the drive of step {start} is not known, as the recording began after the run: "
                "begin it before the first step, or after reset(), or leave 'drive' out of what="
            )
        self._of, self._run = run, RecordedRun(self._places, self.what, samples)
        return self._run

    def go_on(self, run: object, start: int, samples: int | None) -> RecordedRun:
        """Go on with a run (arguments and errors as `begin`)."""
        if self._run is None or self._of is not run:
            return self.begin(run, start, samples)
        self._run.forget()
        return self._run

    @property
    def steps(self) -> int:
        """Number of steps that are recorded."""
        return 0 if self._run is None else self._run.steps

    @property
    def spikes(self) -> dict[str, Tensor]:
        """What neurons emitted, ``[T, ...]`` by site."""
        return self._kept("spikes")

    @property
    def counts(self) -> dict[str, Tensor]:
        """How many spikes that were, ``[T, ...]`` by site."""
        return self._kept("counts")

    @property
    def membrane(self) -> dict[str, Tensor]:
        """What was left to be said, ``[T, ...]`` by site."""
        return self._kept("membrane")

    @property
    def drive(self) -> dict[str, Tensor]:
        """The increments that came in, ``[T, ...]`` by site."""
        return self._kept("drive")

    def rates(self) -> dict[str, float]:
        """Return the spikes per neuron and step by site, as reports have them.

        Raises:
            InputError: neither ``counts`` nor, of neurons with one answer a step, ``spikes`` are
                kept.
        """
        bursts = max(place.neuron.bursts for place in self._places.values())
        if "counts" not in self.what and bursts > 1:
            raise InputError(
                f"the spikes of neurons with up to {bursts} answers a step are not counted by "
                f"their sum, and what={self.what} keeps no 'counts'; add them"
            )
        kept = self.counts if "counts" in self.what else self.spikes
        if "counts" not in self.what:
            kept = {site: x != 0 for site, x in kept.items()}
        return {site: float(x.double().mean()) for site, x in kept.items()}

    def plot(self, site: str, *, sample: int = 0, most: int = 100, ax: Any = None) -> Any:
        """Draw the spikes of one sample at a site over time: a dot each, its area by its size, its
        colour by its sign.

        Args:
            site: its name.
            sample: number of the sample in the batch.
            most: how many neurons are drawn; of more, so many, evenly spaced.
            ax: of matplotlib, to draw on; None: of a new figure.

        Returns:
            The ``matplotlib.axes.Axes``.

        Raises:
            DependencyError: matplotlib is not installed (``pip install 'snnconvert[plot]'``).
            InputError: there is no such site or sample, or spikes are not kept.
        """
        spikes = self.spikes[site]
        assert self._run is not None
        return draw_raster(self._run.of_sample(site, spikes, sample), site, most, ax)

    def _kept(self, kind: str) -> dict[str, Tensor]:
        if kind not in self.what:
            raise InputError(
                f"'{kind}' is not kept, as record() was asked for what={self.what}; add it"
            )
        if self._run is None or not self._run.steps:
            raise StateError(
                "nothing is recorded: no run has ended inside of 'with snn.record(...) as seen:'"
            )
        return _BySite(self._run.of(kind))

    def __repr__(self) -> str:
        said = f"Recording of {self.steps} steps at {len(self.sites)} sites: {', '.join(self.what)}"
        if not self.steps:
            return said
        kept = self._kept(self.what[0])
        width = max(map(len, kept))
        return "\n".join(
            [said, *(f"  {site:{width}}  {list(x.shape)}" for site, x in kept.items())]
        )


class _BySite(dict[str, Tensor]):
    """What is kept of a kind, by site."""

    def __missing__(self, site: str) -> Tensor:
        inside = [name for name in self if name.startswith(f"{site}.")]
        near = suggestion(site, self, f"sites: {listed(inside or self)}")
        raise ArgumentError("site", site, f"none of this name is recorded{near}")


def record(
    places: Mapping[str, Place],
    sites: str | Iterable[str],
    what: str | Iterable[str],
    active: Recordings,
) -> Recording:
    """Return a recording, not yet on.

    Args:
        places: of all neurons, by key.
        sites: globs on names of sites.
        what: kinds.
        active: what it will be of while it is on.

    Raises:
        InputError: there are no neurons, a glob matches no site, or there is no such kind.
    """
    if not places:
        raise InputError(
            "this conversion has no neurons, so there are no spikes to record; convert with rules "
            "that place some, such as rules='spiking'"
        )
    kinds = _listed("what", what)
    for kind in kinds:
        if kind not in KINDS:
            near = suggestion(kind, KINDS, f"allowed: {', '.join(KINDS)}")
            raise ArgumentError("what", kind, f"nothing of this name can be recorded{near}")
    chosen = {key for glob in _listed("sites", sites) for key in _matching(glob, places)}
    found = {key: place for key, place in places.items() if key in chosen}
    return Recording(found, tuple(kind for kind in KINDS if kind in kinds), active)


def _listed(argument: str, given: Any) -> list[str]:
    """Return one or several texts as a list."""
    texts = [given] if isinstance(given, str) else given
    texts = list(texts) if isinstance(texts, Iterable) else []
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ArgumentError(argument, given, "allowed are a text and several, at least one")
    return texts


def _matching(glob: str, places: Mapping[str, Place]) -> list[str]:
    """Return the keys of the sites that a glob matches, by their names or their neurons' paths, or
    raise ArgumentError where there are none."""
    try:
        matches = compile_globs((glob,))
    except GlobError as error:
        exact = [key for key, place in places.items() if place.site == glob]  # with its number
        if exact:
            return exact
        raise ArgumentError("sites", glob, f"is no glob: {error}") from error
    found = [k for k, x in places.items() if glob == x.site or matches(x.site) or matches(x.path)]
    if not found:
        known = [place.site for place in places.values()]
        raise ArgumentError("sites", glob, f"matches none{_near(glob, known)}")
    return found


def _near(site: str, known: Collection[str]) -> str:
    """Return what may have been meant by a glob that matches none, and which sites there are."""
    paths = [name.split(".") for name in known]
    modules = [f"{'.'.join(path[:n])}.*" for path in paths for n in range(1, len(path))]
    return suggestion(site, dict.fromkeys([*modules, *known]), f"sites: {listed(known)}")
