"""One request, done well: authentication, revision, timeouts, rate limit, retries, and errors to act on."""

from __future__ import annotations

import hashlib
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar
from urllib.parse import quote, urlencode

from klaviyo_pipeline.coordination.permits import shared_budget
from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.model import Tier
from klaviyo_pipeline.klaviyo.catalogue.revisions import check_revision, expected_answer
from klaviyo_pipeline.klaviyo.client import answers
from klaviyo_pipeline.klaviyo.client.address import check_address
from klaviyo_pipeline.klaviyo.client.answers import shown
from klaviyo_pipeline.klaviyo.client.envelope import check_document
from klaviyo_pipeline.klaviyo.client.memory import memory_of_account
from klaviyo_pipeline.klaviyo.client.rate_limits import EndpointLimit, limits_of_account
from klaviyo_pipeline.klaviyo.client.settings import KLAVIYO_URL, ClientSettings
from klaviyo_pipeline.klaviyo.client.transport import Answered, Http, TransportError
from klaviyo_pipeline.klaviyo.errors import (
    AuthenticationError,
    CancelledError,
    CursorRefusedError,
    KlaviyoError,
    NotFoundError,
    RateLimitedError,
    RequestRefusedError,
    RevisionError,
    ScopeError,
    UnavailableError,
    UnreadablePageError,
)
from klaviyo_pipeline.klaviyo.privacy.rules import Rules
from klaviyo_pipeline.redaction import keep_secret

if TYPE_CHECKING:
    from klaviyo_pipeline.coordination.postgres import Coordination

T = TypeVar("T")

CLOCK_TOLERANCE_S = 3.0
"""Clocks this close are taken to agree: dates come in whole seconds, and answers take their time."""
USUAL_WAIT_S = 65.0
"""So long a request may have to wait for the catalogue's own limits (60 s), whatever the settings say."""
LOGGED_WAIT_S = 10.0
"""A longer wait is logged, for each endpoint at most once in LOGGED_EVERY_S."""
LOGGED_EVERY_S = 60.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """One GET, or a POST if it has a ``body``.

    ``target`` is a path with its query, as Klaviyo's ``links`` give it. ``endpoint`` and ``tier`` say which rate
    limit it counts against; ``scopes`` and ``subject`` are for the error message. ``book`` is called each time before
    the request is sent, also before a retry; what it raises keeps it from being sent.
    """

    target: str
    endpoint: str
    tier: Tier
    subject: str
    scopes: tuple[str, ...] = ()
    body: bytes | None = None
    book: Callable[[], None] | None = None


@dataclass(frozen=True)
class Answer(Generic[T]):
    """What a request came to: the value read from its body, and the revision that answered.

    ``network_s`` is the time from sending the request, the last time, to having the whole body.
    """

    value: T
    revision: str
    retries: int
    body_bytes: int
    network_s: float


@dataclass
class Traffic:
    """Counts over all requests of a client. Thread-safe."""

    requests: int = 0
    retries: int = 0
    throttled: int = 0
    body_bytes: int = 0
    retry_wait_s: float = 0.0
    limit_wait_s: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(self, **counts: float) -> None:
        """Count."""
        with self._lock:
            for name, count in counts.items():
                setattr(self, name, getattr(self, name) + count)

    def copy(self) -> Traffic:
        """The counts as they are now."""
        return self.since(Traffic())

    def since(self, before: Traffic) -> Traffic:
        """What was counted after ``before``."""
        with self._lock:
            return Traffic(*(getattr(self, name) - getattr(before, name) for name in _COUNTS))

    def plus(self, more: Traffic) -> Traffic:
        """The sum of both."""
        total = self.copy()
        total.add(**{name: getattr(more, name) for name in _COUNTS})
        return total


_COUNTS = tuple(each.name for each in fields(Traffic) if each.init and not each.name.startswith("_"))


class KlaviyoClient:
    """Sends requests to one Klaviyo account. Safe to share between threads.

    Args:
        api_key: A private API key. It is kept out of every message, repr and file.
        settings: Retries, timeouts and the share of the rate limit.
        revision: The API revision to send; blank means ours.
        base_url: Klaviyo's address, or another one that speaks the same API.
        key_origin: Where the key was taken from, for the message of a wrong key.
        allow_http: Whether the key may leave this machine over http.
        rules: What may be kept of the account's rows.
        coordination: The database through which processes on the account keep its rate limits together; None: this
            process keeps them by itself.

    Raises:
        ConfigurationError: for a missing or malformed key, revision or address.
    """

    def __init__(
        self,
        api_key: str,
        settings: ClientSettings | None = None,
        *,
        revision: str | None = None,
        base_url: str = KLAVIYO_URL,
        key_origin: str = "the code",
        allow_http: bool = False,
        rules: Rules | None = None,
        coordination: Coordination | None = None,
    ) -> None:
        key = api_key.strip()
        keep_secret(key)
        if not key:
            raise ConfigurationError(
                "No Klaviyo API key: set the environment variable KLAVIYO_API_KEY to a private API key "
                "(Klaviyo: Settings, API keys)."
            )
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise ConfigurationError(
                f"The Klaviyo API key from {key_origin} holds characters that no key has; copy it again from Klaviyo."
            )
        self.base_url = check_address(base_url, allow_http=allow_http)
        self.settings = settings or ClientSettings()
        self.revision = check_revision(revision)
        self.written_revision = (revision or "").strip() or self.revision
        self.rules = rules or Rules()
        self.traffic = Traffic()
        self._key = key
        self._key_origin = key_origin
        self._clock_ahead_s: float | None = None
        self._wait_logged: dict[str, float] = {}
        self._http = Http(self.base_url, key, self.revision, self.settings)
        self._memory = memory_of_account(self.account)
        budget = shared_budget(coordination, key, self.base_url)
        self._limits = limits_of_account(self.account, self.settings.rate_limit_share, budget)

    def __repr__(self) -> str:
        return f"KlaviyoClient(base_url={self.base_url!r}, revision={self.revision!r})"

    @property
    def account(self) -> str:
        """A name for the account at this address that tells nothing of the key."""
        return hashlib.sha256(f"{self.base_url}\0{self._key}".encode()).hexdigest()[:16]

    @property
    def clock_ahead_s(self) -> float:
        """By how many seconds this machine's clock is ahead of Klaviyo's, as far as answers showed; else 0."""
        measured = self._clock_ahead_s or 0.0
        return measured if measured > CLOCK_TOLERANCE_S else 0.0

    def _observe_clock(self, headers: Mapping[str, str]) -> None:
        ahead_s = answers.clock_ahead(headers)
        if ahead_s is not None:
            # An answer is never younger than its date: the smallest difference is the nearest to the truth.
            known = self._clock_ahead_s
            self._clock_ahead_s = ahead_s if known is None else min(known, ahead_s)

    def limit(self, request: Request) -> EndpointLimit:
        """The rate limit that a request counts against."""
        return self._limits.of(request.endpoint, request.tier)

    def fetch(
        self,
        request: Request,
        read: Callable[[bytes, str], T],
        cancelled: threading.Event | None = None,
    ) -> Answer[T]:
        """Send a request until it is answered by a page that ``read`` understands.

        ``read`` gets the body and the revision that answered; it raises UnreadablePageError for a body that is
        not what it should be, which is retried like any passing fault.

        Raises:
            KlaviyoError: a leaf that says what to do, when retrying does not help or the retries are used up.
            CancelledError: when ``cancelled`` is set meanwhile.
        """
        limit = self.limit(request)
        stop = cancelled or threading.Event()

        def sleep(seconds: float) -> None:
            if stop.wait(seconds):
                raise CancelledError(f"{request.subject} was cancelled.")

        for attempt in range(self.settings.retry_limit + 1):
            self.traffic.add(limit_wait_s=limit.acquire(sleep, partial(self._check_limit, request, limit)))
            if stop.is_set():
                raise CancelledError(f"{request.subject} was cancelled.")
            if request.book is not None:
                request.book()
            self.traffic.add(requests=1)
            problem, retry_after_s, throttled = "", None, False
            sent, sent_at = time.monotonic(), limit.clock()
            try:
                with self._memory.answer() as held:
                    answered = self._http.send(request.target, request.body, held)
                    network_s = time.monotonic() - sent
                    self.traffic.add(body_bytes=len(answered.body))
                    if answered.status == 200:
                        limit.observe(answered.headers, sent_at)
                        self._observe_clock(answered.headers)
                        revision = answers.answering_revision(answered.headers) or expected_answer(self.revision)
                        value = read(answered.body, revision)
                        return Answer(value, revision, attempt, len(answered.body), network_s)
                throttled = answered.status == 429
                if not answers.passes(answered):
                    self._refuse(request, answered)
                problem = f"HTTP {answered.status}"
                retry_after_s = answers.retry_after(answered.headers)
            except TransportError as error:
                problem = str(error)
            except UnreadablePageError as error:
                problem = f"an unreadable answer ({error})"
            wait_s = self._wait_before(attempt, retry_after_s)
            if throttled:
                self.traffic.add(throttled=1)
                # Not longer than anybody is willing to wait: later requests ask again and hear the same.
                limit.throttled(min(retry_after_s or 1.0, self.settings.max_retry_wait_s), sent_at)
            if attempt == self.settings.retry_limit:
                self._give_up(request, problem, throttled)
            if retry_after_s is not None and retry_after_s > self.settings.max_retry_wait_s:
                self._wait_too_long(request, retry_after_s, "")
            self.traffic.add(retries=1, retry_wait_s=wait_s)
            if wait_s >= LOGGED_WAIT_S:
                self._log_wait(request, wait_s, f"before attempt {attempt + 2}: {shown(problem)}")
            sleep(wait_s)
        raise AssertionError("the loop above returns or raises")

    def get_json(self, request: Request, *, many: bool | None = None) -> dict[str, Any]:
        """A small document, decoded whole: of one resource, of ``many``, or (None) of either."""
        return self.get(request, lambda document: document, many=many)

    def get(
        self,
        request: Request,
        read: Callable[[dict[str, Any]], T],
        *,
        many: bool | None = None,
        linked: bool = False,
    ) -> T:
        """What ``read`` finds in a small document; UnreadablePageError from it is retried.

        Args:
            request: The request.
            read: Reads the document.
            many: Whether the document is of many resources, or of one; None for either.
            linked: Whether earlier pages of the same cursor had links, so that this one must have them too.

        Raises:
            KlaviyoError: as ``fetch`` does.
        """

        def checked(body: bytes, _revision: str) -> T:
            return read(check_document(answers.document(body), many=many, linked=linked))

        return self.fetch(request, checked).value

    def _wait_before(self, attempt: int, retry_after_s: float | None) -> float:
        """Seconds before the next attempt: doubled each time; what the server asks for can only lengthen it."""
        ceiling = min(self.settings.max_retry_wait_s, self.settings.initial_retry_wait_s * 2.0**attempt)
        jittered = ceiling * random.uniform(0.75, 1.0)  # noqa: S311 - jitter, not a secret
        return max(retry_after_s or 0.0, jittered)

    def _check_limit(self, request: Request, limit: EndpointLimit, wait_s: float) -> None:
        """Say that the rate limit makes a request wait for long, or refuse to wait for longer than allowed."""
        if wait_s > max(self.settings.max_retry_wait_s, USUAL_WAIT_S):
            stated = ", ".join(f"{quota} in {length_s:g} s" for length_s, quota in limit.stated.items())
            self._wait_too_long(request, wait_s, f" for its rate limit ({stated})")
        if wait_s >= LOGGED_WAIT_S:
            self._log_wait(request, wait_s, "for Klaviyo's rate limit")

    def _log_wait(self, request: Request, wait_s: float, reason: str) -> None:
        now = time.monotonic()
        if now - self._wait_logged.get(request.endpoint, -LOGGED_EVERY_S) >= LOGGED_EVERY_S:
            self._wait_logged[request.endpoint] = now
            _log.warning("%s: waiting %.0f s %s", shown(request.subject), wait_s, reason)

    def _wait_too_long(self, request: Request, wait_s: float, why: str) -> NoReturn:
        raise RateLimitedError(
            f"{shown(request.subject)}: Klaviyo asks to wait {wait_s:.6g} s{why}, more than max_retry_wait_s "
            f"({self.settings.max_retry_wait_s:g} s). Run it again later, or raise that setting. "
            f"Page: {shown(request.target)}",
            wait_s=wait_s,
        )

    def _give_up(self, request: Request, problem: str, throttled: bool) -> NoReturn:
        attempts = self.settings.retry_limit + 1
        if throttled:
            raise RateLimitedError(
                f"{shown(request.subject)}: Klaviyo answered 429 (too many requests) {attempts} times. Other "
                "integrations use up the account's limit: lower rate_limit_share or run it later. "
                f"Page: {shown(request.target)}"
            )
        raise UnavailableError(
            f"{shown(request.subject)}: no usable answer from {self.base_url} after {attempts} attempts; the last "
            f"problem was {shown(problem)}. Page: {shown(request.target)}"
        )

    def _refuse(self, request: Request, answered: Answered) -> NoReturn:
        """Turn a final answer into the error that says what to do."""
        detail, source = answers.first_error(answered.body)
        detail, source = shown(detail), None if source is None else shown(source)
        subject, status = shown(request.subject), answered.status
        if status == 401:
            raise AuthenticationError(
                f"{subject}: Klaviyo does not accept the API key from {self._key_origin} (401: {detail}). "
                "Check the key there, or make a new one in Klaviyo, Settings, API keys."
            )
        if status == 403:
            needed = " and ".join(request.scopes) or "this endpoint's scope"
            raise ScopeError(
                f"{subject}: the API key may not read this (403: {detail}). It needs {needed}: make a private "
                "key with that scope in Klaviyo, Settings, API keys."
            )
        if status == 404:
            raise NotFoundError(f"{subject}: {detail or 'not found'} (404)")
        if status == 410 or (status == 400 and "revision" in detail.lower()):
            raise RevisionError(
                f"{subject}: Klaviyo does not serve revision {self.revision} ({status}: {detail}). Set another "
                "revision, or leave it blank for the default."
            )
        if status == 400 and "cursor" in f"{source} {detail}".lower():
            raise CursorRefusedError(
                f"{subject}: {detail} (400). Page: {shown(request.target)}", parameter="page_cursor"
            )
        raise RequestRefusedError(
            f"{subject}: Klaviyo refused the request ({status}: {detail}). Page: {shown(request.target)}",
            status=status,
            parameter=source,
        )


def target(path: str, parameters: Mapping[str, str | None]) -> str:
    """A path with a percent-encoded query; parameters that are None are left out."""
    given = [(name, value) for name, value in parameters.items() if value is not None]
    return f"{path}?{urlencode(given, quote_via=quote)}" if given else path


def target_of_link(link: str) -> str:
    """Path and query of one of Klaviyo's links, to the letter.

    Only these are taken from a link: requests always go to the configured address, so that a key is never sent
    anywhere else.
    """
    if link.startswith("/"):
        return link
    _scheme, found, rest = link.partition("://")
    if not found:
        return f"/{link}"  # what stands right behind a host's name could become part of it
    slash = rest.find("/")
    return rest[slash:] if slash >= 0 else "/"


__all__ = ["Answer", "KlaviyoClient", "KlaviyoError", "Request", "Traffic", "target", "target_of_link"]
