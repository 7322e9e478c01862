"""The grammar of names of schemas and tables."""

from __future__ import annotations

from klaviyo_pipeline.warehouse.errors import TableNameError
from klaviyo_pipeline.warehouse.sql import fold

LONGEST = 128
_DUCKDBS_OWN = ("information_schema", "pg_catalog")
_OURS = "klaviyo_pipeline"
_REFUSED = {".": "a dot", "{": "a brace", "}": "a brace"}


def check_schema(name: str, what: str = "schema") -> str:
    """A schema's name, checked.

    Raises:
        TableNameError: naming ``what``, the name and what is allowed.
    """
    check_table(name, what)
    if fold(name) in _DUCKDBS_OWN:
        raise TableNameError(f"{what} is {name!r}, but DuckDB keeps {name} for itself: choose another name.")
    if fold(name) == _OURS:
        raise TableNameError(f"{what} is {name!r}, but the ledger is in {_OURS}: choose another name.")
    return name


def check_table(name: str, what: str = "table") -> str:
    """A table's name, checked.

    Raises:
        TableNameError: naming ``what``, the name and what is allowed.
    """
    shown = name if len(name) <= LONGEST else f"{name[:LONGEST]}…"
    if not name or name != name.strip():
        raise TableNameError(f"{what} is {shown!r}, but must be a name without space at its ends.")
    if len(name) > LONGEST:
        raise TableNameError(f"{what} is {shown!r}, but must have at most {LONGEST} characters.")
    if not name.isprintable():
        raise TableNameError(f"{what} is {shown!r}, but must have no line breaks or control characters.")
    found = next((said for sign, said in _REFUSED.items() if sign in name), None)
    if found:
        raise TableNameError(f"{what} is {shown!r}, but must be a name without {found}.")
    return name
