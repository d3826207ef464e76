"""Conversion of documents and JSON to typed values by msgspec, safe from any number of threads."""

from __future__ import annotations

import threading
from typing import TypeVar

import msgspec

T = TypeVar("T")

_preparing = threading.Lock()
_prepared: set[type] = set()


def convert(value: object, kind: type[T]) -> T:
    """Convert plain values to a `kind`. Raises msgspec.ValidationError."""
    _prepare(kind)
    return msgspec.convert(value, kind)


def decode(content: bytes | str, kind: type[T]) -> T:
    """Read a `kind` from JSON. Raises msgspec.MsgspecError."""
    _prepare(kind)
    return msgspec.json.decode(content, type=kind)


def new_decoder(kind: type[T], *, strict: bool = True) -> msgspec.json.Decoder[T]:
    """Make a decoder of a class that was made at run time; such classes are not remembered."""
    with _preparing:
        return msgspec.json.Decoder(kind, strict=strict)


def _prepare(kind: type) -> None:
    """Make msgspec inspect a class once, in one thread.

    It inspects the fields of a class, and of all classes within, at first use, and lets other threads run meanwhile:
    one that needs the same class finds it half inspected, and the process ends by SIGSEGV (msgspec 0.22). A Decoder
    made when its module is imported does the same.
    """
    if kind in _prepared:
        return
    with _preparing:
        if kind not in _prepared:
            msgspec.json.Decoder(kind)
            _prepared.add(kind)
