"""What the models of all kinds of files have in common."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic_core import PydanticCustomError

VERSION = 1
"""Version of the formats."""


class Described(BaseModel):
    """Base of the models: unknown keys are errors, no value is taken for another type's.

    Lists are ``tuple[X, ...]``, as nothing of a model can be changed.

    A model whose ``title`` is a noun in lower case is called by it in messages, and by its
    ``name`` where it has one: ``rule 'exact head': ...``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def _check_version(value: Any) -> Any:
    if type(value) is int and value == VERSION:
        return value
    raise PydanticCustomError("unknown_version", "")


Version: TypeAlias = Annotated[Literal[1], BeforeValidator(_check_version)]
