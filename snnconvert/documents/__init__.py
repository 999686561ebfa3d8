"""Described files: YAML that is read within bounds and checked against a pydantic model.

A new kind of file is its model, whose fields have descriptions and examples, and words for the
error types that are its own; see :class:`FileKind`. Every kind has a ``version``.
"""

from snnconvert.documents.document import Document, DocumentDumper, Location, Problem, plain_scalar
from snnconvert.documents.faults import Fault, Words
from snnconvert.documents.fields import Described, Version
from snnconvert.documents.files import Text, is_path, read_text
from snnconvert.documents.kind import FileKind, Reading

__all__ = [
    "Described",
    "Document",
    "DocumentDumper",
    "Fault",
    "FileKind",
    "Location",
    "Problem",
    "Reading",
    "Text",
    "Version",
    "Words",
    "is_path",
    "plain_scalar",
    "read_text",
]
