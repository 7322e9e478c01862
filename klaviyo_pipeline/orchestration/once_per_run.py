"""Work that a run does once for all its assets. If each asset has a process, each process does it once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
    from klaviyo_pipeline.klaviyo.endpoints.account import Account

T = TypeVar("T")

_lock = threading.Lock()
_known: dict[str, dict[str, Any]] = {}
_RUNS_REMEMBERED = 100


def first_time(run_id: str, name: str) -> bool:
    """Whether the run has not called this before with the name."""
    with _lock:
        known = _of(run_id)
        is_new = name not in known
        known[name] = True
        return is_new


def account_of_run(run_id: str, client: KlaviyoClient) -> Account:
    """The client's account. Asks Klaviyo once in a run, and again if it did not answer.

    Raises:
        KlaviyoError: as `read_account` does.
    """
    from klaviyo_pipeline.klaviyo.endpoints.account import read_account

    return _once(run_id, f"account {client.account}", lambda: read_account(client))


def _once(run_id: str, name: str, make: Callable[[], T]) -> T:
    with _lock:
        known = _of(run_id)
        if name in known:
            found: T = known[name]
            return found
    made = make()  # outside of the lock: it may take long
    with _lock:
        known[name] = made
    return made


def _of(run_id: str) -> dict[str, Any]:
    if run_id not in _known and len(_known) >= _RUNS_REMEMBERED:
        del _known[next(iter(_known))]
    return _known.setdefault(run_id, {})
