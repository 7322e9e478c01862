"""Adds an account to klaviyo.yml and keeps the rest of the file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from klaviyo_pipeline.accounts.file import FILE, BrokenAccount, read_text
from klaviyo_pipeline.yaml_files.problems import FileError, Problem


def add_account(name: str, settings: Mapping[str, Any]) -> Path:
    """Add an account to the file, which is created if it is missing.

    Args:
        name: The account's name.
        settings: The values of its keys.

    Raises:
        FileError: if the name is taken, a value is wrong, or the file has a layout that cannot be edited. The file is
            unchanged.
        ConfigurationError: if KLAVIYO_ACCOUNTS is no path of a file.
    """
    path = Path(FILE.value)
    before = path.read_text(encoding="utf-8-sig") if path.exists() else "accounts:\n"
    there = [each.name for each in read_text(before, str(path))] if path.exists() else []
    if name in there:
        raise FileError(str(path), [Problem(0, 0, f"has an account {name} already: edit it there.")])
    text = _with_account(before, name, settings)
    after = {each.name: each for each in read_text(text, str(path))}
    if list(after) != [*there, name]:
        raise FileError(str(path), [Problem(0, 0, f"is laid out so that {name} has to be added by hand.")])
    if isinstance(wrong := after[name], BrokenAccount):
        raise wrong.error
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Whole or not at all: Dagster may read the file at any moment.
        temporary = path.with_name(f".{path.name}.tmp")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise FileError(str(path), [Problem(0, 0, f"can't be written: {error.strerror or error}")]) from None
    return path


def _with_account(text: str, name: str, settings: Mapping[str, Any]) -> str:
    """The text with an account at its end; the accounts are its last key, indented as the first one is."""
    lines = text.rstrip().splitlines()
    first = next((line for line in lines if line.startswith(" ") and not line.strip().startswith("#")), "  ")
    indent = first[: len(first) - len(first.lstrip())] or "  "
    lines.append(f"{indent}{name}:")
    lines += [f"{indent * 2}{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()]
    return "\n".join(lines) + "\n"
