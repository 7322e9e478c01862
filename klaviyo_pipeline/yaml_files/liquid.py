"""`{{ env.NAME }}` in a YAML text: the one form of Embulk's Liquid templates that transfer files may use.

The text is masked before YAML reads it, since `{{ env.NAME }}` without quotes is a mapping to YAML. A mask has the
length of the reference, so lines and columns stay true.
"""

from __future__ import annotations

import os
import re

from klaviyo_pipeline.redaction import looks_like_secret

_REFERENCE = re.compile(r"\{\{(\s*env\.[A-Za-z_][A-Za-z0-9_]*\s*)\}\}")
_MASK = re.compile(r"⟦⟦\s*env\.([A-Za-z_][A-Za-z0-9_]*)\s*⟧⟧")
_UNMASK = re.compile(r"⟦⟦(\s*env\.[A-Za-z_][A-Za-z0-9_]*\s*)⟧⟧")
_OTHER = re.compile(r"\{\{|\{%")
ADVICE = "is a Liquid template: only {{ env.NAME }} is read. Write the value itself, or {{ env.NAME }}."


class VariableError(ValueError):
    """A reference whose environment variable is not set, or holds a secret that does not belong there."""


def mask(text: str) -> str:
    """The text with each `{{ env.NAME }}` as a plain YAML text of the same length."""
    return _REFERENCE.sub(r"⟦⟦\1⟧⟧", text)


def unmask(text: str) -> str:
    """The text as it was before `mask`."""
    return _UNMASK.sub(r"{{\1}}", text)


def is_masked(text: str) -> bool:
    """Whether a value holds a reference."""
    return _MASK.search(text) is not None


def is_other(text: str) -> bool:
    """Whether a text holds Liquid that is not read."""
    return _OTHER.search(text) is not None


def as_references(text: str) -> str:
    """A value with `{{ env.NAME }}` as `${NAME}`, which is looked up when a run needs it."""
    return _MASK.sub(r"${\1}", text)


def filled(text: str) -> str:
    """A value with the environment's values in it.

    Raises:
        VariableError: if a variable is not set.
    """

    def value(found: re.Match[str]) -> str:
        name = found[1]
        given = os.environ.get(name)
        if given is None:
            raise VariableError(f"names the environment variable {name}, which is not set.")
        if looks_like_secret(name, given):
            raise VariableError(f"names {name}, which looks like a secret; a secret belongs in api_token only.")
        return given

    return _MASK.sub(value, text)
