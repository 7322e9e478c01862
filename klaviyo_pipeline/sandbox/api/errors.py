"""Klaviyo's error documents, word for word if recorded.

Source: responses recorded on revision 2026-07-15 (2026-09-04). Where none was recorded the wording is
inferred, and the function says so.
"""

from collections.abc import Iterable
from uuid import UUID

import msgspec


class ApiError(Exception):
    """An error that Klaviyo answers with a document of its own."""

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str,
        source: dict[str, str],
        extra: dict[str, object] | None = None,
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = tuple(headers)
        self._body = {"status": status, "code": code, "title": title, "detail": detail, "source": source}
        self._extra = extra or {}

    def document(self, error_id: UUID) -> bytes:
        """The body, under the id that this occurrence got."""
        return msgspec.json.encode({"errors": [{"id": str(error_id), **self._body, **self._extra}]})


def invalid(detail: str, *, parameter: str | None = None, pointer: str = "/data/") -> ApiError:
    """400 with the parameter (or the place in the body) at fault."""
    source = {"parameter": parameter} if parameter else {"pointer": pointer}
    return ApiError(400, "invalid", "Invalid input.", detail, source, {"links": {}, "meta": {}})


def not_found(detail: str) -> ApiError:
    """404."""
    return ApiError(404, "not_found", "Not found.", detail, {"pointer": "/data/"})


def wrong_key() -> ApiError:
    """401 for a key that is none of the account's."""
    text = "Incorrect authentication credentials."
    return ApiError(401, "authentication_failed", text, text, {"pointer": "/data/"})


def no_key() -> ApiError:
    """401 without an Authorization header (reported, not recorded)."""
    text = "Authentication credentials were not provided."
    return ApiError(401, "not_authenticated", text, text, {"pointer": "/data/"})


def refused(attribute: str, detail: str) -> ApiError:
    """400 for an attribute of a request's body."""
    return invalid(detail, pointer=f"/data/attributes/{attribute}")


def missing_scope(scopes: Iterable[str]) -> ApiError:
    """403 for a key that lacks a scope (the title is recorded, the detail inferred)."""
    return ApiError(
        403,
        "permission_denied",
        "You do not have permission to perform this action.",
        f"The API key is missing required scopes: {', '.join(scopes)}",
        {"pointer": "/data/"},
    )


def allowing(methods: Iterable[str]) -> tuple[bytes, bytes]:
    """The `Allow` header of a path with these methods."""
    return b"allow", ", ".join([*sorted(methods), "HEAD", "OPTIONS"]).encode()


def not_in_the_sandbox(method: str, path: str) -> ApiError:
    """501 for an operation that Klaviyo has and the sandbox does not."""
    detail = f"Klaviyo has {method} /api/{path}, but it is not in the sandbox."
    return ApiError(501, "not_in_the_sandbox", "Not in the sandbox.", detail, {"pointer": "/data/"})


def method_not_allowed(method: str, allowed: Iterable[str]) -> ApiError:
    """405 with the methods that the path takes (wording inferred)."""
    return ApiError(
        405,
        "method_not_allowed",
        "Method not allowed.",
        f'Method "{method}" not allowed.',
        {"pointer": "/data/"},
        headers=[allowing(allowed)],
    )


def throttled(retry_after_s: int) -> ApiError:
    """429, with `Retry-After` and without the rate headers."""
    unit = "second" if retry_after_s == 1 else "seconds"
    return ApiError(
        429,
        "throttled",
        "Request was throttled.",
        f"Request was throttled. Expected available in {retry_after_s} {unit}.",
        {"pointer": "/data"},
        {
            "links": {"type": "https://developers.klaviyo.com/en/docs/rate_limits_and_error_handling#rate-limits"},
            "meta": {},
        },
        ((b"retry-after", str(retry_after_s).encode()),),
    )
