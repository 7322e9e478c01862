"""A YAML file as plain values, with the position of each."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from klaviyo_pipeline.yaml_files import liquid
from klaviyo_pipeline.yaml_files.problems import FileError, Path, Problem, Violation, spell

_READ_BY_US = ("timestamp", "int", "float")
LARGEST = 300_000
"""Characters in a file: thousands of ids, and a second to read."""
DEEPEST = 20
SECRETS = frozenset({"api_token", "api_key", "apikey"})
"""Keys whose value stays a reference to an environment variable until a run needs it."""
MOST_VALUES = 30_000
"""YAML's aliases can stand for each other; a small file must not unfold into a large one."""


class _Loader(yaml.SafeLoader):
    """Only plain decimal numbers are numbers: YAML 1.1 reads 1:30 as 90, 010 as 8 and 1_000 as 1000.

    Times stay text, because they need the storage time zone, and an error quotes the text.
    """


_TAG = "tag:yaml.org,2002:"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in {f"{_TAG}{kind}" for kind in _READ_BY_US}]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_WHOLE = r"-?(?:0|[1-9][0-9]*)"
_EXPONENT = r"[eE][-+]?[0-9]+"
_FIRST = list("-0123456789")
_Loader.add_implicit_resolver(f"{_TAG}int", re.compile(rf"{_WHOLE}$"), _FIRST)
_Loader.add_implicit_resolver(f"{_TAG}float", re.compile(rf"{_WHOLE}(?:\.[0-9]+(?:{_EXPONENT})?|{_EXPONENT})$"), _FIRST)


_LARGEST_NUMBER = 10**15
_UNREADABLE = object()


@dataclass
class Document:
    """A mapping read from a file.

    ``variables`` says whether `{{ env.NAME }}` stands for a variable. ``keys`` and ``values`` have the positions of a
    path's key and value: line and column from 1.
    """

    file: str
    text: str
    root: yaml.MappingNode
    variables: bool = True
    data: dict[str, Any] = field(default_factory=dict)
    keys: dict[Path, tuple[int, int]] = field(default_factory=dict)
    values: dict[Path, tuple[int, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    count: int = 0

    def problem(self, violation: Violation) -> Problem:
        """A violation with its position and the path of its key in words."""
        place = self.locate(violation)
        return Problem(place.line, place.column, f"{spell(violation.path)} {violation.text}")

    def locate(self, violation: Violation) -> Problem:
        """The position of a violation: its value or key, or the nearest one above it in the file."""
        path = violation.path
        places = self.keys if violation.key else self.values
        while path and path not in places:
            path, places = path[:-1], self.keys
        line, column = places.get(path, (1, 1))
        return Problem(line, column, violation.text)


def parse(text: str, file: str, *, variables: bool = True) -> Document:
    """Read a YAML mapping. `{{ env.NAME }}` in a value stands for that environment variable.

    Args:
        text: The text.
        file: Its name in errors.
        variables: Whether it may name variables. Off, `{{ env.NAME }}` in quotes is plain text, because the author
            of the text may not read this machine's environment.

    Raises:
        FileError: if the text is not YAML, not a mapping, or far too large.
    """
    if len(text) > LARGEST:
        raise FileError(file, [Problem(0, 0, f"the file is larger than {LARGEST:,} characters.")])
    try:
        node = yaml.compose(liquid.mask(text) if variables else text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        written = text.splitlines()[line - 1] if 0 < line <= text.count("\n") + 1 else ""
        reason = liquid.ADVICE if liquid.is_other(written) else _no_yaml(error)
        raise FileError(file, [Problem(line, column, reason)]) from None
    except RecursionError:
        raise FileError(file, [Problem(0, 0, "is nested too deeply.")]) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # PyYAML lets the errors of chr() through, for an escape such as "\UFFFFFFFF".
        raise FileError(file, [Problem(0, 0, f"is not YAML: {' '.join(str(error).split())}.")]) from None
    if node is None:
        raise FileError(file, [Problem(0, 0, "the file is empty.")])
    if not isinstance(node, yaml.MappingNode):
        raise FileError(file, [Problem(*_place(node), "must be a mapping of keys to values.")])
    document = Document(file, text, node, variables)
    document.values[()] = _place(node)
    document.data = _value(document, node, (), frozenset())
    return document


def _value(document: Document, node: yaml.Node, path: Path, above: frozenset[int]) -> Any:  # noqa: ANN401
    if id(node) in above:
        document.problems.append(Problem(*_place(node), f"{spell(path)} contains itself."))
        return None
    above |= {id(node)}
    document.count += 1
    if document.count > MOST_VALUES:
        raise FileError(document.file, [Problem(0, 0, f"unfolds into more than {MOST_VALUES:,} values.")])
    if len(path) > DEEPEST:
        raise FileError(document.file, [Problem(*_place(node), "is nested too deeply.")])
    if isinstance(node, yaml.MappingNode):
        if node.flow_style and any(isinstance(key, yaml.MappingNode) for key, _of_key in node.value):  # {{ … }}
            document.problems.append(Problem(*_place(node), f"{spell(path)} {liquid.ADVICE}"))
            return None
        return _mapping(document, node, path, above)
    if isinstance(node, yaml.SequenceNode):
        items = []
        for position, item in enumerate(node.value):
            document.values[(*path, position)] = document.keys[(*path, position)] = _place(item)
            items.append(_value(document, item, (*path, position), above))
        return items
    if document.variables and isinstance(node, yaml.ScalarNode) and liquid.is_masked(node.value):
        return _from_environment(document, node, path)
    return _scalar(document, node, path)


def _scalar(document: Document, node: yaml.Node, path: Path) -> str | int | float | bool | None:
    """A text, a number, true, false or nothing. Other YAML values are problems."""
    try:
        value = yaml.SafeLoader("").construct_object(node)
        if isinstance(value, str):
            value.encode()
    except (yaml.YAMLError, ArithmeticError, LookupError, ValueError, TypeError, AttributeError):
        value = _UNREADABLE
    if isinstance(value, bool | None):
        return value
    if isinstance(value, str) and "\0" not in value:
        return value
    if isinstance(value, int | float) and abs(value) <= _LARGEST_NUMBER:
        return value
    document.problems.append(Problem(*_place(node), f"{spell(path)} has a value that cannot be read."))
    return None


def _from_environment(document: Document, node: yaml.ScalarNode, path: Path) -> Any:  # noqa: ANN401
    """The value of `{{ env.NAME }}`, as if the file had the variable's value. A secret stays a reference."""
    if path and path[-1] in SECRETS:
        return liquid.as_references(node.value)
    try:
        text = liquid.filled(node.value)
    except liquid.VariableError as error:
        document.problems.append(Problem(*_place(node), f"{spell(path)} {error}"))
        return None
    if node.style is not None:  # in quotes: a text
        return text
    loader: Any = _Loader("")
    plain = yaml.ScalarNode(loader.resolve(yaml.ScalarNode, text, (True, False)), text, node.start_mark, node.end_mark)
    return _scalar(document, plain, path)


def _mapping(document: Document, node: yaml.MappingNode, path: Path, above: frozenset[int]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            document.problems.append(Problem(*_place(key_node), "a key must be a plain text."))
            continue
        key: str = key_node.value
        where = (*path, key)
        if key in found:
            document.problems.append(Problem(*_place(key_node), f"{spell(where)} is there twice."))
            continue
        document.keys[where], document.values[where] = _place(key_node), _place(value_node)
        found[key] = _value(document, value_node, where, above)
    return found


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _no_yaml(error: yaml.MarkedYAMLError) -> str:
    text = f"is not YAML: {error.problem or error.context or error}"
    if "'@'" in text or "'`'" in text or "'%'" in text:
        text += " (put the value in quotes)"
    return text + "."
