"""The shape of a file's values: keys and types, by a pydantic model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.similar import did_you_mean
from klaviyo_pipeline.yaml_files.problems import Path, Violation, one_of

_KINDS = {
    "string_type": "a text (in quotes if it looks like something else)",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
}
_SECRETS = frozenset({"api_token", "api_key", "api_key_env"})
"""Keys whose value no message shows."""


class Section(BaseModel):
    """A part of a file. An unknown key, or a value of another type, is an error."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


def shape_violations(model: type[BaseModel], data: dict[str, Any]) -> Iterator[Violation]:
    """Keys that the model does not have, keys that are missing, and values of another type."""
    try:
        model.model_validate(data)
    except ValidationError as error:
        for each in error.errors():
            yield worded(each, model)


def worded(error: Any, model: type[BaseModel]) -> Violation:  # noqa: ANN401 - pydantic's error
    """One of pydantic's errors in the words of the other violations."""
    path: Path = tuple(step for step in error["loc"] if step not in {"int", "str"})
    kind, given = error["type"], error["input"]
    if kind == "extra_forbidden":
        allowed = _keys_at(model, path[:-1])
        text = f"is not known; there is {', '.join(allowed)}{did_you_mean(str(path[-1]), allowed)}"
        return Violation(path, text, key=True)
    if kind == "missing":
        return Violation(path, "is missing.", key=True)
    if path and path[-1] in _SECRETS:
        return Violation(path, "must be a text.")
    if kind == "literal_error":
        return Violation(path, f"is {given!r}, but {one_of(str(given), _choices_at(model, path))}")
    return Violation(path, f"is {shown(given)}, but must be {_KINDS.get(kind, error['msg'])}.")


def refused(path: Path, value: Any, parse: Callable[[str, str], object]) -> Iterator[Violation]:  # noqa: ANN401
    """A text that a parser of the grammar of settings refuses. Blank and missing texts are not parsed."""
    if isinstance(value, str) and value:
        name = str(path[-1])
        try:
            parse(value, name)
        except ConfigurationError as error:
            yield Violation(path, str(error).removeprefix(f"{name} "))


def shown(value: Any) -> str:  # noqa: ANN401 - whatever a file has
    """A value in a message: not too long, and no whole mapping or list."""
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = {True: "true", False: "false"}.get(value, repr(value)) if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _keys_at(model: type[BaseModel], path: Path) -> tuple[str, ...]:
    for step in path:
        annotation: Any = model.model_fields[str(step)].annotation
        candidates = (annotation, *getattr(annotation, "__args__", ()))
        model = next(each for each in candidates if isinstance(each, type) and issubclass(each, BaseModel))
    return tuple(field.alias or name for name, field in model.model_fields.items())


def _choices_at(model: type[BaseModel], path: Path) -> tuple[str, ...]:
    """The words that a value may be."""
    *sections, name = (step for step in path if isinstance(step, str))
    for step in sections:
        field = _field(model, step)
        candidates = (field.annotation, *get_args(field.annotation))
        inner = [each for each in candidates if isinstance(each, type) and issubclass(each, BaseModel)]
        if not inner:  # a mapping of names to words
            return tuple(map(str, get_args(get_args(field.annotation)[1])))
        model = inner[0]
    return tuple(map(str, get_args(_field(model, name).annotation)))


def _field(model: type[BaseModel], name: str) -> Any:  # noqa: ANN401 - pydantic's field
    return next(field for key, field in model.model_fields.items() if name in (key, field.alias))


def without_blanks(data: Any) -> Any:  # noqa: ANN401 - whatever a file has
    """A key without a value is as if it were not there."""
    if not isinstance(data, dict):
        return data
    return {name: without_blanks(value) for name, value in data.items() if value is not None}
