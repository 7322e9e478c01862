"""Names that are like a word that a person wrote, for messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LIKENESS = 0.8
"""From this ratio on, two words differ by a typing mistake: one letter of five, or two that changed places."""
_SHORTEST_PART = 3


def similar(word: str, names: Iterable[str], most: int = 3) -> list[str]:
    """The names that are spelled nearly like a word, the nearest first, and then those that contain it."""
    known = {name.casefold(): name for name in names}
    wanted = word.casefold()
    near = difflib.get_close_matches(wanted, known, n=most, cutoff=_LIKENESS)
    if len(wanted) >= _SHORTEST_PART:
        near += [name for name in known if wanted in name and name not in near]
    return [known[name] for name in near[:most]]


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """A hint at the names that are like a word; a full stop if none is."""
    near = similar(word, names)
    return f"; did you mean {' or '.join(near)}?" if near else "."
