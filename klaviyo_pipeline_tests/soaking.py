"""How many examples a property test draws: few in every run, more in a soak."""

from __future__ import annotations

import os

from hypothesis import Phase, settings

SOAK = float(os.environ.get("KLAVIYO_SOAK", "1"))
"""So many times the examples."""


def examples(number: int) -> settings:
    """Settings for so many examples, times KLAVIYO_SOAK. Only a soak makes a failing example small."""
    phases = [phase for phase in Phase if SOAK > 1 or phase not in (Phase.shrink, Phase.explain)]
    return settings(deadline=None, max_examples=max(1, round(number * SOAK)), phases=phases)
