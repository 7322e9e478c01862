"""The revision that answers a request, or the reason for a refusal.

Source: Klaviyo's API versioning and deprecation policy; the life of each as of 2026-11-23.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from klaviyo_pipeline.sandbox.api.errors import ApiError, invalid

RETIRED = (
    "2022-10-17", "2023-01-24", "2023-02-22", "2023-06-15", "2023-07-15", "2023-08-15", "2023-09-15",
    "2023-10-15", "2023-12-15", "2024-02-15", "2024-05-15", "2024-06-15", "2024-07-15", "2024-10-15",
)  # fmt: skip
LIVING = (
    "2025-01-15", "2025-04-15", "2025-07-15", "2025-10-15", "2026-01-15", "2026-04-15", "2026-07-15",
    "2026-10-15",
)  # fmt: skip
OLDEST, NEWEST = LIVING[0], LIVING[-1]

_OPT_OUT = "x-klaviyo-revision-fall-forward-opt-out"
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class Answering:
    """The revision that answers, and whether it does so for a retired one."""

    revision: str
    fell_forward: bool = False


def answering(headers: Mapping[str, str], missing: str) -> Answering:
    """The revision that answers a request with these (lower-case) headers.

    A beta (`.pre`) answers as the stable revision of its date: the sandbox has no beta operations.

    Raises:
        ApiError: 410 for a retired revision whose sender opted out, 400 for an unknown or future one.
    """
    asked = headers.get("revision")
    if asked is None:
        if missing == "fall-forward":
            return Answering(OLDEST)
        raise invalid("A revision header is required.", pointer="/data/")
    stable = asked.removesuffix(".pre")
    if stable in LIVING:
        return Answering(stable)
    if stable in RETIRED:
        if headers.get(_OPT_OUT) == "1":
            raise gone(f"Revision {asked} has been retired.")
        return Answering(OLDEST, fell_forward=True)
    if _DATE.fullmatch(stable) and stable > datetime.now(UTC).date().isoformat():
        raise invalid("Unable to specify a future revision date.", pointer="/data/")
    raise invalid(f"Revision '{asked}' is not a known revision.", pointer="/data/")


def gone(detail: str) -> ApiError:
    """410. Klaviyo documents the status, not the body."""
    return ApiError(410, "gone", "Gone.", detail, {"pointer": "/data/"})
