"""A model as a user asks for it: the reference, and all that it takes to load and to run it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from snnconvert.errors import InputError
from snnconvert.sources.examples import NO_EXAMPLE
from snnconvert.sources.inputs import has_tensor, narrowed, parse_input
from snnconvert.sources.load import load_source
from snnconvert.sources.source import Source


@dataclass(frozen=True)
class ModelRequest:
    """A model that can be loaded, with the inputs to trace it on.

    Attributes:
        model: reference as :func:`~snnconvert.sources.load.load_source` takes it.
        arch: for a file of weights, the model that they belong to.
        input: example inputs as shapes or a file; None: the source's own.
        allow: packages whose code may run.
        trust_pickle: load pickles unchecked.
        seed: of random weights and of example inputs that are drawn.
    """

    model: str
    arch: str | None = None
    input: str | None = None
    allow: tuple[str, ...] = ()
    trust_pickle: bool = False
    seed: int = 0

    def load(self) -> Source:
        """Return the model with its example inputs.

        Raises:
            SourceError: the model cannot be found, read or trusted.
            InputError: the example inputs cannot be read, or there are none.
        """
        given = None if self.input is None else parse_input(self.input, self.seed)
        source = load_source(
            self.model,
            arch=self.arch,
            allow=self.allow,
            trust_pickle=self.trust_pickle,
            seed=self.seed,
        )
        if given is not None:
            return _as_wide(_with_inputs(source, *given))
        if isinstance(source.model, nn.Module) and not source.args and not source.kwargs:
            raise InputError(
                f"{source.name}: no example inputs are known for it; give their shapes, batch "
                "first, with --input, as in --input 2,3,224,224 or --input int:2,16"
            )
        return source


def _as_wide(source: Source) -> Source:
    """The source with inputs of float64, which NumPy makes of every number, as wide as all of its
    weights, and a note; inputs of a model that has some of float64 stay as they are."""
    if not isinstance(source.model, nn.Module):
        return source
    widths = {x.dtype for x in source.model.parameters() if x.is_floating_point()}
    if widths != {torch.float32}:
        return source
    (args, kwargs), changed = narrowed((source.args, dict(source.kwargs)), lambda _: True)
    note = "; ".join(filter(None, [source.note, _CAST]))
    return replace(source, args=args, kwargs=kwargs, note=note) if changed else source


_CAST = "inputs (--input) of float64 were cast to float32, as all weights of the model are"


def _with_inputs(source: Source, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Source:
    """The source with these tensors as inputs; its constants, such as a flag, stay."""
    constants = {k: v for k, v in source.kwargs.items() if not has_tensor(v)}
    note = source.note.replace(NO_EXAMPLE, "").removesuffix("; ")
    return replace(source, args=args, kwargs={**constants, **kwargs}, note=note)
