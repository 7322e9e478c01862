"""Failures as one clear message and an exit code, never a traceback."""

from __future__ import annotations

import os
from typing import Any

import click

from klaviyo_pipeline.cli.output import printable
from klaviyo_pipeline.errors import DEBUG, PipelineError
from klaviyo_pipeline.redaction import protect_logs, redact

_STOPPED = "DagsterExecutionInterruptedError"
"""Dagster's own error for Ctrl-C while a run is under way; by name, since importing Dagster takes a second."""


class Failed(click.ClickException):
    """Ends a failed command with a message. Exit code 1."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(printable(redact(message)))


class Interrupted(click.ClickException):
    """Ends a command that a person stopped. Exit code 130, the usual one in shells."""

    exit_code = 130


class WrongInput(Failed):
    """Ends a command with a message about a wrong argument, file or setting. Exit code 2."""

    exit_code = 2


class Commands(click.Group):
    """A group whose commands end each failure with a message. KLAVIYO_DEBUG=1 shows tracebacks."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        """Run a command."""
        protect_logs()
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            error.message = redact(error.message)  # type: ignore[misc]
            raise
        except (click.Abort, click.exceptions.Exit, BrokenPipeError):
            raise
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) or type(error).__name__ == _STOPPED:
                raise Interrupted(
                    "Stopped. Unfinished loads have not landed. Run it again: it resumes with the finished pages."
                ) from None
            if not isinstance(error, Exception):
                raise
            if os.environ.get(DEBUG):
                raise
            raise failure_of(error) from error


def failure_of(error: Exception) -> Failed:
    """The message and exit code of an error."""
    from pydantic import ValidationError

    from klaviyo_pipeline.errors import ConfigurationError
    from klaviyo_pipeline.paths import UnusablePathError
    from klaviyo_pipeline.warehouse.errors import DatabaseFileError, DatabasePathError, MixedRowsError

    wrong_input = (ConfigurationError, DatabasePathError, DatabaseFileError, MixedRowsError, UnusablePathError)
    if isinstance(error, wrong_input):
        return WrongInput(str(error))
    if isinstance(error, PipelineError):
        return Failed(str(error))
    if isinstance(error, ValidationError):
        texts = (each["msg"].removeprefix("Value error, ") for each in error.errors(include_input=False))
        return WrongInput("\n".join(texts))
    if isinstance(error, OSError) and error.filename:
        return WrongInput(f"{error.filename}: {error.strerror}")
    text = " ".join(str(error).split())
    return Failed(f"{type(error).__name__}: {text or 'unexpected'} (set {DEBUG}=1 to see the traceback)")
