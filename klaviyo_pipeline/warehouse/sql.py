"""The one place where identifiers and literals become SQL text."""

from __future__ import annotations

from collections.abc import Iterable

_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def quote(identifier: str) -> str:
    """Quotes one identifier, whatever it holds: ``select`` -> ``"select"``, ``a"b`` -> ``"a""b"``."""
    return '"' + identifier.replace('"', '""') + '"'


def qualified(*parts: str) -> str:
    """Quotes and joins the parts of a name: catalog, schema, table."""
    return ".".join(quote(part) for part in parts)


def quoted_list(identifiers: Iterable[str], prefix: str = "") -> str:
    """Quotes names and joins them with commas; ``prefix`` is a table alias with its dot (``"t."``)."""
    return ", ".join(prefix + quote(identifier) for identifier in identifiers)


def literal(text: str) -> str:
    """A string literal, for the few statements that take no bound parameter (COMMENT, ATTACH, SET)."""
    return "'" + text.replace("'", "''") + "'"


def fold(name: str) -> str:
    """The form in which DuckDB compares identifiers: case-insensitive for ASCII letters only."""
    return name.translate(_ASCII_LOWER)
