"""Klaviyo accounts by name, for transfers: those of klaviyo.yml, and those of authentications.yml.

A file names the environment variable with each key, never the key.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from klaviyo_pipeline import environment, grammar, redaction
from klaviyo_pipeline.accounts.file import Account, good_accounts
from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.revisions import check_revision
from klaviyo_pipeline.klaviyo.client.address import check_address
from klaviyo_pipeline.similar import did_you_mean
from klaviyo_pipeline.yaml_files.problems import FileError, Problem, Violation, spell

if TYPE_CHECKING:
    from klaviyo_pipeline.yaml_files.documents import Document

DEFAULT = "default"
FILE = environment.Variable(
    "KLAVIYO_AUTHENTICATIONS",
    "authentications.yml",
    "File that names further Klaviyo accounts and their keys' variables.",
    grammar.file,
)
REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_KEYS = ("api_key", "base_url", "revision")


@dataclass(frozen=True)
class Authentication:
    """An account: the variable with its key, and its address, revision and privacy rules if they differ."""

    name: str
    variable: str
    base_url: str = ""
    revision: str = ""
    file: str = ""
    privacy: str = ""

    @property
    def api_key(self) -> str:
        """The key.

        Raises:
            ConfigurationError: if the variable is not set.
        """
        return resolve(f"${{{self.variable}}}", f"the account {self.name!r}")

    @property
    def key_origin(self) -> str:
        """The origin of the key, for the message about a wrong key."""
        if not self.file:
            return f"the environment variable {self.variable}"
        return f"authentication {self.name!r} in {self.file} (environment variable {self.variable})"


def resolve(text: str, what: str) -> str:
    """A secret, written as ``${NAME}`` or in plain text.

    Raises:
        ConfigurationError: if the environment variable is not set.
    """
    found = REFERENCE.fullmatch(text.strip())
    if found is None:
        redaction.keep_secret(text)
        return text
    redaction.watch(found[1])
    value = os.environ.get(found[1], "").strip()
    if not value:
        raise ConfigurationError(f"The environment variable {found[1]} is not set; {what} takes its API key from it.")
    return value


def variable_named_in(text: str) -> str:
    """The variable of a secret that is written as ``${NAME}``, in words; else blank."""
    found = REFERENCE.fullmatch(text.strip())
    return f" (environment variable {found[1]})" if found else ""


def read_authentications(file: str | None = None) -> dict[str, Authentication]:
    """All accounts by name. ``default`` always exists, with KLAVIYO_API_KEY. Wrong accounts of klaviyo.yml are absent.

    Raises:
        FileError: with everything that is wrong in the file, or if klaviyo.yml is not YAML.
    """
    known = {DEFAULT: Authentication(DEFAULT, environment.API_KEY.name)}
    known |= {each.name: _of_project(each) for each in good_accounts()}
    of_project = known.keys() - {DEFAULT}
    path = Path(file or FILE.value)
    if not path.exists():
        return known
    from klaviyo_pipeline.yaml_files.documents import parse

    try:
        document = parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(str(path), [Problem(0, 0, f"can't be read: {error}")]) from None
    problems = list(document.problems)
    say = partial(_say, document, problems)
    for name, given in document.data.items():
        if name in of_project:
            say(Violation((name,), f"is an account of {known[name].file} too: keep one of them.", key=True))
        elif account := _account(name, given, str(path), say):
            known[name] = account
    if problems:
        raise FileError(str(path), problems)
    return known


def _of_project(account: Account) -> Authentication:
    settings = account.settings
    return Authentication(
        account.name,
        settings.api_key_env,
        settings.base_url,
        settings.revision,
        account.file,
        account.privacy,
    )


def _account(name: str, given: Any, file: str, say: Callable[[Violation], None]) -> Authentication | None:  # noqa: ANN401
    """An account of the file; None if it names no variable for its key."""
    if not isinstance(given, dict):
        say(Violation((name,), "must be a mapping with api_key: ${NAME OF AN ENVIRONMENT VARIABLE}."))
        return None
    for key in given:
        if key not in _KEYS:
            text = f"is not known; an account takes {', '.join(_KEYS)}{did_you_mean(key, _KEYS)}"
            say(Violation((name, key), text, key=True))
    texts = {key: str(given.get(key) or "") for key in _KEYS}
    found = REFERENCE.fullmatch(texts["api_key"].strip())
    if found is None:
        text = "must name an environment variable, as ${NAME}: keys do not belong in a file."
        say(Violation((name, "api_key"), text))
        return None
    checks: dict[str, Callable[[str], object]] = {"revision": check_revision, "base_url": _check_address}
    for key, check in checks.items():
        try:
            if texts[key]:
                check(texts[key])
        except ConfigurationError as error:
            say(Violation((name, key), str(error).removeprefix(f"{key} ")))
    redaction.watch(found[1])
    return Authentication(name, found[1], texts["base_url"], texts["revision"], file)


def _check_address(url: str) -> None:
    check_address(url, allow_http=environment.allow_http())


def _say(document: Document, problems: list[Problem], violation: Violation) -> None:
    located = document.locate(violation)
    problems.append(Problem(located.line, located.column, f"{spell(violation.path)} {violation.text}"))
