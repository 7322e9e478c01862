"""`errors.md`: everything that the package raises on purpose."""

from __future__ import annotations

from reference_docs.markdown import code, described, table
from reference_docs.package import own_doc, subclasses

INTRO = """\
# Errors

Code that calls this package can catch these errors. People see only the message, without a traceback: one sentence
that says what went wrong and what to do. In Dagster it is the failure of the run.
[Troubleshooting](../troubleshooting.md) is sorted by message. No message contains an API key.
"""


def page() -> str:
    """The page's text."""
    by_module: dict[str, list[list[str]]] = {}
    for cls in error_classes():
        parent = cls.__bases__[0].__name__
        text = described(own_doc(cls), cls.__name__)
        by_module.setdefault(cls.__module__, []).append([code(cls.__name__), code(parent), text])
    parts = [INTRO]
    for module, rows in by_module.items():
        parts += [f"## `{module}`\n", table(["error", "is a", "meaning"], rows)]
    return "\n".join(parts)


def error_classes() -> list[type]:
    """All public exceptions of the package."""
    return [cls for cls in subclasses(Exception) if not cls.__name__.startswith("_")]
