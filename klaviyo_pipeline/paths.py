"""The grammar of paths that people write, for every file and folder.

It expands ``~`` and ``$VAR``. It refuses an address with a scheme, because DuckDB and Python would make a file or
folder with that name.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from klaviyo_pipeline.redaction import looks_like_secret

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
"""At least two characters, so that C:\\ is not one."""
_VARIABLE = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([^}]*)\})")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WINDOWS_VARIABLE = re.compile(r"%([A-Za-z_][A-Za-z0-9_]*)%")
_COMPANIONS = (".wal", ".lock", ".tmp", ".compacting")
"""The files that DuckDB and we put beside a database."""
_SHOWN = 200


class UnusablePathError(ValueError):
    """The path is not one of a local file or folder, or another kind of file is there."""


def file_path(text: str, what: str) -> Path:
    """The path of a file that may or may not exist. A relative path stays relative to the current folder.

    Args:
        text: The path as a person wrote it.
        what: The purpose of the path. The message begins with it.

    Raises:
        UnusablePathError: naming ``what``, the path and what is allowed.
    """
    expanded = _expanded(text, what)
    path = Path(expanded)
    kind = _kind(path, text, what)
    if expanded.endswith(("/", os.sep)) or kind == "a folder":
        raise _unusable(text, what, "is a folder, but must be a file: add a file name, e.g. klaviyo.duckdb.")
    if kind not in ("", "a file"):
        raise _unusable(text, what, f"is {kind}, but must be a file.")
    if "?" in expanded:
        raise _unusable(text, what, "has a question mark, at which DuckDB would cut the name of the file's WAL.")
    _kind(Path(f"{path}.lock"), text, what)  # a file system has a longest name, and what lies beside has a longer one
    if path.suffix in _COMPANIONS:
        raise _unusable(text, what, f"ends in {path.suffix}: such a file belongs to a database beside it.")
    _check_parents(path, text, what)
    return path


def folder_path(text: str, what: str) -> Path:
    """The path of a folder that may or may not exist. A relative path stays relative to the current folder.

    Raises:
        UnusablePathError: naming ``what``, the path and what is allowed.
    """
    path = Path(_expanded(text, what))
    kind = _kind(path, text, what)
    if kind not in ("", "a folder"):
        raise _unusable(text, what, f"is {kind}, but must be a folder.")
    _check_parents(path, text, what)
    return path


def refuse_scheme(text: str, what: str) -> None:
    """Refuse an address with a scheme, or :memory:.

    Raises:
        UnusablePathError: naming ``what`` and the scheme.
    """
    if text.strip().lower().startswith(":memory:"):
        raise _unusable(
            text,
            what,
            "is in memory, but the pipeline needs a file: every session opens and closes it. Set it to e.g. "
            "data/klaviyo.duckdb.",
        )
    found = _SCHEME.match(text.strip())
    if found:
        raise _unusable(
            text,
            what,
            f"has the scheme {found[1]}:, but only local paths can be used. Write ./{text.strip()[:_SHOWN]} if a local "
            "file or folder has that name.",
        )


def _expanded(text: str, what: str) -> str:
    given = text.strip()
    if not given:
        raise _unusable(text, what, "is blank, but must be a path.")
    refuse_scheme(given, what)
    windows = _WINDOWS_VARIABLE.search(given)
    if windows:
        raise _unusable(text, what, f"has {windows[0]}: write ${{{windows[1]}}} for an environment variable.")
    expanded = _with_home(_VARIABLE.sub(lambda found: _value(found, text, what), given), text, what)
    # A variable may hold an address.
    refuse_scheme(expanded, what)
    if "\\" in expanded and os.sep != "\\":
        raise _unusable(text, what, "has a backslash, which DuckDB reads as /: write / between folders.")
    if not expanded.isprintable():
        raise _unusable(text, what, "has a line break, a control character or bytes that are not UTF-8.")
    return expanded


def _value(found: re.Match[str], text: str, what: str) -> str:
    name = found[1] or found[2]
    if not _NAME.fullmatch(name):
        raise _unusable(text, what, f"has {found[0]}, but that is not the name of an environment variable.")
    value = os.environ.get(name, "")
    if not value.strip():
        raise _unusable(text, what, f"takes the environment variable {name}, which is not set.")
    if looks_like_secret(name, value):
        raise _unusable(text, what, f"takes {name}, which looks like a secret.")
    return value


def _with_home(path: str, text: str, what: str) -> str:
    if not path.startswith("~"):
        return path
    home = os.path.expanduser(path)  # noqa: PTH111 - pathlib raises another error on each version
    if home.startswith("~"):
        raise _unusable(text, what, f"begins with {path.split('/')[0]}, but there is no such home folder.")
    return home


def _kind(path: Path, text: str, what: str) -> str:
    """What is there: "a file", "a folder", something else, or nothing ("")."""
    try:
        if path.is_dir():
            return "a folder"
        if path.is_file():
            return "a file"
        if path.exists():
            return "a device or a pipe"
        return "a link to itself" if Path(os.path.realpath(path)).is_symlink() else ""
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _unusable(text, what, f"can't be a path here: {reason}.") from None


def _check_parents(path: Path, text: str, what: str) -> None:
    for parent in path.absolute().parents:
        kind = _kind(parent, text, what)
        if kind == "a folder":
            return
        if kind:
            raise _unusable(text, what, f"lies in {parent}, which is {kind} and not a folder.")


def _unusable(text: str, what: str, reason: str) -> UnusablePathError:
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return UnusablePathError(f"{what} is {shown!r}, which {reason}")
