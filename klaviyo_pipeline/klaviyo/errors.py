"""What can go wrong when talking to Klaviyo, in words that a person can act on.

One base class, and a leaf for each thing a person would do differently. The base class redacts every message, so that
none has an API key in it.
"""

from __future__ import annotations

from datetime import datetime

from klaviyo_pipeline.errors import PipelineError
from klaviyo_pipeline.redaction import redact


class KlaviyoError(PipelineError):
    """Base of everything this room raises."""


class AuthenticationError(KlaviyoError):
    """Klaviyo does not know the API key (HTTP 401)."""


class ScopeError(KlaviyoError):
    """The API key may not read this (HTTP 403)."""


class RequestRefusedError(KlaviyoError):
    """Klaviyo refused the request itself (HTTP 400 and other 4xx)."""

    def __init__(self, message: str, *, status: int = 400, parameter: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.parameter = redact(parameter) if parameter else parameter
        """The query parameter that Klaviyo points at, for example ``page_size`` or ``filter``."""


class CursorRefusedError(RequestRefusedError):
    """A page cursor is no longer taken; the slice has to start over from its last row."""


class NotFoundError(KlaviyoError):
    """The thing asked for does not exist (HTTP 404)."""


class RevisionError(KlaviyoError):
    """Klaviyo does not serve this API revision (HTTP 410, or 400 about the revision)."""


class LaterRevisionError(RevisionError):
    """The data source begins with a later API revision than the one that answers."""


class UnavailableError(KlaviyoError):
    """Klaviyo could not be reached, or kept failing, until the retries were used up."""

    retriable = True


class RateLimitedError(UnavailableError):
    """Klaviyo kept answering 429 until the retries were used up, or asks for a longer wait than allowed.

    ``wait_s`` is the wait that it asks for, in seconds; None where the retries were used up.
    """

    def __init__(self, message: str, *, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class QuotaSpentError(KlaviyoError):
    """The requests that Klaviyo allows a day are used up; the request was not sent.

    ``free_at`` is when one may be sent again, aware UTC.
    """

    def __init__(self, message: str, free_at: datetime) -> None:
        super().__init__(message)
        self.free_at = free_at


class UnreadablePageError(KlaviyoError):
    """A page arrived that is not the JSON:API document it should be; retried like a failed request."""


class IncompleteError(KlaviyoError):
    """Klaviyo's answers contradict each other: what was read is less than Klaviyo says it has."""


class CancelledError(KlaviyoError):
    """Another part of the same extract failed, so this request was not sent."""


class StagingError(KlaviyoError):
    """Staged files could not be written or read: a full disk, a read-only folder, a foreign file."""


class StageDamagedError(StagingError):
    """Staged pages are no longer those that were fetched; fetching them again helps."""
