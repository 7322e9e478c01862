"""How many examples a property test draws: a tenth of its number in `make test`, a third in `make test-long`, and many
times the number in a soak.
"""

from __future__ import annotations

import os

from hypothesis import Phase, settings

SOAK = float(os.environ.get("KLAVIYO_SOAK", "0.1"))
"""So many times the examples: `make test-long` and `make soak` set it."""


def examples(number: int, parent: settings | None = None) -> settings:
    """Settings for so many examples, times KLAVIYO_SOAK. Only a soak makes a failing example small."""
    phases = [phase for phase in Phase if SOAK > 1 or phase not in (Phase.shrink, Phase.explain)]
    return settings(parent or settings.default, deadline=None, max_examples=scaled(number), phases=phases)


def scaled(number: int) -> int:
    """A number of examples times KLAVIYO_SOAK; two at least, since the first that is drawn is the simplest there is."""
    return max(2, round(number * SOAK))
