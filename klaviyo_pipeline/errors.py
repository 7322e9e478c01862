"""The root of this project's errors. Each message says what is wrong, where, and what is allowed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from klaviyo_pipeline.redaction import chain, redact, shown

DEBUG = "KLAVIYO_DEBUG"
"""The environment variable that asks for tracebacks."""


class PipelineError(Exception):
    """Base of this project's errors. No message contains a secret.

    ``retriable`` tells whether the same work may succeed a little later: Klaviyo is down, or the database is busy.
    """

    retriable: ClassVar[bool] = False

    def __init__(self, *args: object) -> None:
        super().__init__(*(redact(each) if isinstance(each, str) else each for each in args))


class ConfigurationError(PipelineError):
    """A setting, an option or a window is wrong. No request was sent, and nothing was written."""


class SecretInErrorError(PipelineError):
    """Replaces an error of another library whose text contains a secret."""


@contextmanager
def no_secrets() -> Iterator[None]:
    """Replaces an error if its text, or the text of a cause, contains a secret.

    Raises:
        SecretInErrorError: with the redacted text and without the causes.
    """
    try:
        yield
    except Exception as error:
        if not any(shown(each) != redact(shown(each)) for each in chain(error)):
            raise
        if isinstance(error, PipelineError):
            raise error from None
        raise SecretInErrorError(shown(error)) from None
