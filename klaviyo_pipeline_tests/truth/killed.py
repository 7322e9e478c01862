"""A load in a process of its own, which may be killed at any moment: imported by that process, too."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from klaviyo_pipeline import clock
from klaviyo_pipeline.klaviyo.catalogue import revisions
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
from klaviyo_pipeline.klaviyo.client.rate_limits import EndpointLimit
from klaviyo_pipeline.klaviyo.staging import stage
from klaviyo_pipeline.loads.parts import STAGE_BYTES
from klaviyo_pipeline.warehouse import batch, landing, ledger, write_modes
from klaviyo_pipeline_tests.truth.world import FIRST_NOW, World

HOOKS: dict[str, tuple[Any, str, bool]] = {
    "a page is staged, its line is not": (stage.Stage, "add_page", False),
    "a page and its line are staged": (stage.Stage, "add_page", True),
    "a slice is finished": (stage.Stage, "finish_slice", True),
    "a part's end is about to be chosen": (stage.Stage, "end_at", False),
    "a slice is about to be dropped": (stage.Stage, "drop_slice", False),
    "a part's end is chosen": (stage.Stage, "end_at", True),
    "the landing begins": (landing, "land_within", False),
    "the batch is gathered": (batch, "gather", True),
    "rows are written": (write_modes, "_write", True),
    "the ledger has its line": (ledger, "record", True),
    "all is done but the commit": (landing, "land_within", True),
    "the commit is done": (landing, "land", True),
    "staged files are about to go": (stage.Stage, "close", False),
}
"""Where a load can be killed from within: before (False) or after (True) a function."""


PARTS = tuple(name for name in HOOKS if "part" in name or "dropped" in name)
"""Those that only a load that lands in parts comes by."""


def run(
    url: str,
    folder: str,
    names: tuple[str, ...],
    hook: str | None = None,
    times: int = 1,
    *,
    stage_bytes: int = STAGE_BYTES,
    mode: str | None = None,
    whole: bool = True,
) -> None:
    """Load these sources; killed, as `kill -9` does it, when a hook is reached the so-manieth time."""
    clock.now = lambda: FIRST_NOW
    revisions.today_utc = lambda: date(2026, 11, 23)
    EndpointLimit.reserve = lambda _self: 0.0  # type: ignore[method-assign]
    KlaviyoClient._wait_before = lambda *_arguments: 0.0  # type: ignore[assignment,method-assign]
    if hook is not None:
        _kill_at(*HOOKS[hook], times)
    world = World(_Address(url), Path(folder), stage_bytes=stage_bytes)  # type: ignore[arg-type]
    for name in names:
        world.load(name, mode=mode, whole=whole and name not in ("event_metrics", "event_profiles"))


def _kill_at(owner: Any, name: str, after: bool, times: int) -> None:
    original: Callable[..., Any] = getattr(owner, name)
    left = times

    def hooked(*arguments: Any, **named: Any) -> Any:
        nonlocal left
        left -= 1
        if left <= 0 and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **named)
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, hooked)


class _Address:
    """A sandbox in another process."""

    def __init__(self, url: str) -> None:
        self.url = url
