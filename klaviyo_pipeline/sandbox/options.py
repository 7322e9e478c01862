"""The options of a sandbox: sizes, history, seed, and the behaviour of the server."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

DEFAULT_KEY = "pk_sandbox"


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """The shop behind the API. Seed, sizes and `until` together determine every byte of it.

    `until` is where the history ends (ISO 8601 or a datetime); without it, the current hour. A few events
    are dated after it, as customers' clocks have it.
    """

    seed: int = 1
    profiles: int = 2_000
    events: int = 20_000
    days: int = 30
    until: datetime | str | None = None
    lists: int = 6
    templates: int = 25
    campaigns: int = 40

    def until_moment(self) -> datetime:
        """The end of the history as an aware UTC datetime."""
        until = datetime.fromisoformat(self.until) if isinstance(self.until, str) else self.until
        if until is None:
            return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        return until.replace(tzinfo=UTC) if until.tzinfo is None else until.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How the server answers.

    Attributes:
        rate_limits: enforce Klaviyo's burst and steady windows, and send their headers.
        latency_ms: wait so long before each answer.
        keys: accepted private keys, each with its scopes; an empty set is full access.
        tokens: accepted OAuth access tokens (`Bearer`), each with its scopes. A private key is none.
        missing_revision: what a request without a `revision` header gets: `fall-forward` (answered as the
            oldest living revision) or `refuse` (400). Klaviyo's documents don't say.
    """

    rate_limits: bool = True
    latency_ms: float = 0
    keys: Mapping[str, frozenset[str]] = field(default_factory=lambda: {DEFAULT_KEY: frozenset()})
    missing_revision: str = "fall-forward"
    tokens: Mapping[str, frozenset[str]] = field(default_factory=dict)
