"""Markdown from values: tables, code, and descriptions that must be there."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

_UNDEFINED: Any = FieldInfo().default
"""What pydantic has for a field without a default."""


class UndocumentedError(Exception):
    """Something that people can set, call or read has no description."""


def described(text: str | None, what: str) -> str:
    """A description on one line.

    Raises:
        UndocumentedError: if there is none.
    """
    if not (text and text.strip()):
        raise UndocumentedError(f"{what} has no description")
    return " ".join(inspect.cleandoc(text).split())


def general(text: str) -> str:
    """A run config's description without what differs between data sources."""
    return text.split(" (default ")[0].split(": updated (")[0].split(": created (")[0].rstrip(".") + "."


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; bars in cells are escaped."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def code(value: object) -> str:
    """A value as code; nothing for a blank one."""
    text = str(value)
    return f"`{text}`" if text else ""


def codes(values: Iterable[object]) -> str:
    """Values as code, with commas between."""
    return ", ".join(code(value) for value in values)


def default_of(field: FieldInfo) -> str:
    """A field's default, for a table."""
    if field.is_required():
        return "required"
    value = field.default
    if value is _UNDEFINED or value is None or value == "":
        return ""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, bool):
        value = str(value).lower()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return code(value)


def type_of(annotation: Any) -> str:
    """A field's type in words that YAML's readers know."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(code(each) for each in arguments)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(code(each.value) for each in annotation)
    if origin in {Union, UnionType}:
        return " or ".join(type_of(each) for each in arguments if each is not NoneType)
    if hasattr(annotation, "__metadata__"):
        return type_of(arguments[0])
    if origin is list:
        return f"list of {type_of(arguments[0])}"
    names = {str: "text", int: "whole number", float: "number", bool: "true or false", dict: "mapping"}
    return names.get(origin or annotation, getattr(annotation, "__name__", str(annotation)))


def fields_table(model: Any, fields: dict[str, FieldInfo] | None = None, *, what: str) -> str:
    """A pydantic model's fields: name, type, default, description."""
    rows = [
        [
            code(field.alias or name),
            type_of(field.annotation),
            default_of(field),
            described(field.description, f"{name} of {what}"),
        ]
        for name, field in (fields if fields is not None else model.model_fields).items()
    ]
    return table(["name", "type", "default", "what it sets"], rows)
