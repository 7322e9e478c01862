"""Sets a value in a YAML text and keeps the rest: comments, order and layout."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import yaml

from klaviyo_pipeline.yaml_files import liquid
from klaviyo_pipeline.yaml_files.documents import parse
from klaviyo_pipeline.yaml_files.problems import FileError, Problem, spell

Change = tuple[tuple[str, ...], Any]
"""A path of keys, and its new value."""


def with_values(text: str, changes: Sequence[Change], file: str) -> str:
    """The text with these values. Adds missing sections at the end.

    Raises:
        FileError: if this module cannot edit the layout of the text.
    """
    text = liquid.mask(text)
    for path, value in changes:
        text = _with_value(text, path, value)
    text = liquid.unmask(text)
    data = parse(text, file).data
    for path, value in changes:
        found: Any = data
        for step in path:
            found = found.get(step) if isinstance(found, dict) else None
        if found != value:
            raise FileError(file, [Problem(0, 0, f"is laid out so that {spell(path)} has to be set by hand.")])
    return text


def _with_value(text: str, path: tuple[str, ...], value: Any) -> str:  # noqa: ANN401 - a scalar
    node: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    for depth, step in enumerate(path):
        child = next((inner for key, inner in node.value if key.value == step), None)
        rest = path[depth + 1 :]
        if child is None:
            return _insert(text, node, step, rest, value)
        if not rest or not isinstance(child, yaml.MappingNode):
            for key in reversed(rest):
                value = {key: value}
            start, end = child.start_mark.index, child.end_mark.index
            space = "" if start != end else " "
            return text[:start] + space + json.dumps(value, ensure_ascii=False) + text[end:]
        node = child
    raise AssertionError("a path has a last step")


def _insert(text: str, node: yaml.MappingNode, key: str, rest: tuple[str, ...], value: Any) -> str:  # noqa: ANN401
    if node.flow_style:
        for inner in reversed(rest):
            value = {inner: value}
        start = node.start_mark.index + 1
        more = ", " if node.value else ""
        return f"{text[:start]}{key}: {json.dumps(value, ensure_ascii=False)}{more}{text[start:]}"
    indent = " " * (node.value[0][0].start_mark.column if node.value else 0)
    lines = []
    for depth, step in enumerate((key, *rest)):
        lines.append(f"{indent}{'  ' * depth}{step}:")
    lines[-1] += f" {json.dumps(value, ensure_ascii=False)}"
    after = _end_of_last_line(text, node)
    before = text[:after] if text[:after].endswith("\n") else text[:after] + "\n"
    return before + "\n".join(lines) + "\n" + text[after:]


def _end_of_last_line(text: str, node: Any) -> int:  # noqa: ANN401 - a node of any kind
    """The end of the line with the last value of a mapping."""
    while not isinstance(node, yaml.ScalarNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    if isinstance(node, yaml.ScalarNode) and node.style in {"|", ">"}:
        return int(node.end_mark.index)
    newline = text.find("\n", node.end_mark.index)
    return len(text) if newline < 0 else newline + 1
