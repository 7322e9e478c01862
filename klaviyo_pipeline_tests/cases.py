"""Many like cases in one test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def case(*names: object) -> Iterator[None]:
    """Names the case in the failure of whatever is checked within: a test of each costs more than the check."""
    try:
        yield
    except BaseException as failure:
        failure.add_note("In the case: " + ", ".join(map(str, names)))
        raise
