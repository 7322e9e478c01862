"""Python imports this module at start-up under a shifted clock; see `klaviyo_pipeline_tests.clocks.shifted`.

Python sleeps until a moment of the monotonic clock, which libfaketime 0.9.10 (Debian 12) refuses with EINVAL. It
leaves select alone, so that sleeps wait there.
"""

import select
import time


def _sleep(seconds: float) -> None:
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    select.select([], [], [], seconds)


time.sleep = _sleep
