"""Many like cases: `make test` runs a few of them, and `make test-long` the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from _pytest.mark import ParameterSet


def broad(cases: Iterable[tuple[object, ...]]) -> list[ParameterSet]:
    """Cases for ``parametrize``. All have the mark ``long`` but for enough of them to have each value once.

    Of 9 data sources in 4 modes, 9 cases stay in `make test`: each data source once, and each mode at least once.
    """
    given = list(cases)
    left = {index: {(place, repr(value)) for place, value in enumerate(case)} for index, case in enumerate(given)}
    chosen = set[int]()
    while any(left.values()):
        best = max(left, key=lambda index: len(left[index]))
        chosen.add(best)
        seen = left.pop(best)
        for values in left.values():
            values -= seen
    return _marked(given, chosen)


def few(cases: Iterable[Any], number: int) -> list[ParameterSet]:
    """Cases for ``parametrize``. All have the mark ``long`` but for so many of them, the first and others as far apart
    as can be.
    """
    given = [case if isinstance(case, tuple) else (case,) for case in cases]
    step = len(given) / number
    return _marked(given, {int(each * step) for each in range(number)})


def _marked(cases: list[tuple[object, ...]], quick: set[int]) -> list[ParameterSet]:
    return [pytest.param(*case, marks=() if index in quick else pytest.mark.long) for index, case in enumerate(cases)]
