"""The errors of requests to Klaviyo.

Each class needs another action of a person. The base class redacts every message, so that none contains an API key.
"""

from __future__ import annotations

from datetime import datetime

from klaviyo_pipeline.errors import PipelineError
from klaviyo_pipeline.redaction import redact


class KlaviyoError(PipelineError):
    """Base of the errors of this package."""


class AuthenticationError(KlaviyoError):
    """Klaviyo does not know the API key (HTTP 401)."""


class ScopeError(KlaviyoError):
    """The API key lacks a scope (HTTP 403)."""


class RequestRefusedError(KlaviyoError):
    """Klaviyo refused the request (HTTP 400 and other 4xx)."""

    def __init__(self, message: str, *, status: int = 400, parameter: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.parameter = redact(parameter) if parameter else parameter
        """The query parameter that Klaviyo points at, for example ``page_size`` or ``filter``."""


class CursorRefusedError(RequestRefusedError):
    """Klaviyo no longer accepts a page cursor. The slice starts again from its last row."""


class NotFoundError(KlaviyoError):
    """Klaviyo does not have the requested object (HTTP 404)."""


class NoCountError(KlaviyoError):
    """Klaviyo has the object, but no count for it at the moment: its schema allows null (OpenAPI 2026-07-15)."""


class RevisionError(KlaviyoError):
    """Klaviyo does not serve this API revision (HTTP 410, or 400 about the revision)."""


class LaterRevisionError(RevisionError):
    """The data source needs a later API revision than the one that answers."""


class UnavailableError(KlaviyoError):
    """Klaviyo could not be reached, or failed in every retry."""

    retriable = True


class RateLimitedError(UnavailableError):
    """Klaviyo answered 429 to every retry, or asks for a longer wait than allowed.

    ``wait_s`` is the wait that it asks for, in seconds; None after the last retry.
    """

    def __init__(self, message: str, *, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class QuotaSpentError(KlaviyoError):
    """The daily quota of requests is used up. The request was not sent.

    ``free_at`` is the time when the next request is allowed, aware UTC.
    """

    def __init__(self, message: str, free_at: datetime) -> None:
        super().__init__(message)
        self.free_at = free_at


class UnreadablePageError(KlaviyoError):
    """A page is not the expected JSON:API document. The client retries it like a failed request."""


class IncompleteError(KlaviyoError):
    """Klaviyo's answers contradict each other: the run read fewer rows than Klaviyo counts."""


class CancelledError(KlaviyoError):
    """Another part of the extract failed, so this request was not sent."""


class StagingError(KlaviyoError):
    """The run cannot write or read staged files: a full disk, a read-only folder, or a file of another program."""


class StageDamagedError(StagingError):
    """Staged pages changed on disk. The run can fetch them again."""
