"""Reads klaviyo.yml. A wrong account does not affect the others; a file that is no list of accounts is an error."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from klaviyo_pipeline import environment, grammar, redaction
from klaviyo_pipeline.accounts.model import AccountSettings, AccountsFile
from klaviyo_pipeline.accounts.validation import DEFAULT, violations_in
from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.yaml_files.problems import FileError, Problem, Violation, one_of
from klaviyo_pipeline.yaml_files.shape import without_blanks

if TYPE_CHECKING:
    from klaviyo_pipeline.yaml_files.documents import Document

FILE = environment.Variable(
    "KLAVIYO_ACCOUNTS", "klaviyo.yml", "File with the Klaviyo accounts of the project.", grammar.file
)
OWN = "klaviyo"
"""An account of this name has the asset keys, jobs and resources of the account of KLAVIYO_API_KEY."""


@dataclass(frozen=True)
class Account:
    """An account of the file, and the file's path."""

    name: str
    settings: AccountSettings
    file: str

    @property
    def schema(self) -> str:
        """The schema of its tables."""
        return self.settings.schema_name or self.name

    @property
    def privacy(self) -> str:
        """Its privacy rules, in the form of KLAVIYO_PRIVACY; blank without any."""
        return json.dumps(self.settings.privacy) if self.settings.privacy is not None else ""

    @property
    def key_origin(self) -> str:
        """The origin of the key, for the message about a wrong key."""
        return f"the environment variable {self.settings.api_key_env} of account {self.name!r} in {self.file}"


@dataclass(frozen=True)
class BrokenAccount:
    """An account that cannot be used, and its errors."""

    name: str
    error: FileError


def read_accounts(file: str | None = None) -> list[Account | BrokenAccount]:
    """All accounts in the file's order, broken ones too; none if there is no file.

    Args:
        file: The file; by default KLAVIYO_ACCOUNTS.

    Raises:
        FileError: if the file is not YAML, or has no mapping of accounts.
        ConfigurationError: if KLAVIYO_ACCOUNTS is no path of a file.
    """
    path = Path(file or FILE.value)
    if not path.exists():
        return []
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(str(path), [Problem(0, 0, f"can't be read: {error}")]) from None
    return read_text(text, str(path))


def good_accounts(file: str | None = None) -> list[Account]:
    """The accounts that can be used.

    Raises:
        FileError: if the file is not YAML, or has no mapping of accounts.
        ConfigurationError: if KLAVIYO_ACCOUNTS is no path of a file.
    """
    return [each for each in read_accounts(file) if isinstance(each, Account)]


def accounts_digest() -> str:
    """Changes with the file's content; blank if there is no file, or it cannot be read."""
    try:
        return hashlib.sha256(Path(FILE.value).read_bytes()).hexdigest()
    except (OSError, ConfigurationError):
        return ""


def account_named(name: str) -> Account:
    """One account.

    Raises:
        FileError: with everything that is wrong with it.
        ConfigurationError: if there is none of this name.
    """
    found = {each.name: each for each in read_accounts()}
    if name not in found:
        raise ConfigurationError(f"The account is {name!r}, but {one_of(name, ('default', *found))}")
    account = found[name]
    if isinstance(account, BrokenAccount):
        raise account.error
    return account


def read_text(text: str, file: str) -> list[Account | BrokenAccount]:
    """The accounts of a text as if it stood in the file.

    Raises:
        FileError: if the text is not YAML, or has no mapping of accounts.
    """
    from klaviyo_pipeline.yaml_files.documents import parse

    document = parse(text, file)
    _check_top(document)
    given: dict[str, Any] = document.data["accounts"]
    taken = _of_default(given)
    return [_account(document, name, data, taken) for name, data in given.items()]


def _check_top(document: Document) -> None:
    """Check the part of the file that belongs to no account."""
    allowed = tuple(AccountsFile.model_fields)
    wrong = [
        Violation((key,), f"is not known; the file {one_of(key, allowed).replace('must be one of', 'has')}", key=True)
        for key in document.data
        if key not in allowed
    ]
    if not isinstance(document.data.get("accounts"), dict):
        wrong.append(Violation(("accounts",), "must be a mapping of names to accounts."))
    if wrong:
        raise FileError(document.file, [document.problem(each) for each in wrong])


def _account(
    document: Document,
    name: str,
    data: Any,  # noqa: ANN401 - whatever the file has
    taken: dict[tuple[str, ...], str],
) -> Account | BrokenAccount:
    at = ("accounts", name)
    clean = without_blanks(data)
    found = violations_in(name, clean)
    if not found:
        account = Account(name, AccountSettings.model_validate(clean), document.file)
        found = list(_clashes(account, taken))
    problems = [document.problem(Violation((*at, *each.path), each.text, each.key)) for each in found]
    problems += _unreadable(document, at)
    if problems:
        return BrokenAccount(name, FileError(document.file, problems))
    redaction.watch(account.settings.api_key_env)
    return account


def _clashes(account: Account, taken: dict[tuple[str, ...], str]) -> Iterator[Violation]:
    """What another account has already. DuckDB and some file systems do not tell names apart by case."""
    settings = account.settings
    database, prefix = settings.database or environment.DATABASE.text, settings.key_prefix or account.name
    for path, what, value in _owned(account.name, account.schema, database, prefix):
        first = taken.setdefault((what, value.lower()), account.name)
        if first != account.name:
            has = "is that" if path or what == "name" else f"names the {what} {value}, which is that"
            yield Violation(path, f"{has} of the account {first}: each account needs its own.", key=not path)
            return


def _owned(name: str, schema: str, database: str, prefix: str) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """The values that each account needs for itself: the setting, the kind of value, and the value."""
    yield (), "name", name
    for end in ("", "_duckdb", "_io_manager"):
        yield (), "resource", f"{name}{end}"
    for end in ("", "_analytics"):
        yield ("schema",), f"schema in {database}", f"{schema}{end}"
        yield ("key_prefix",), "key_prefix", f"{prefix}{end}"
    # Dagster has one namespace for jobs and for the ops of checks.
    yield (), "job", f"{name}_checks"
    for source in (*SOURCES, "reconciliation"):
        yield (), "job", f"{prefix.replace('/', '_')}_{source}_checks"


def _of_default(given: dict[str, Any]) -> dict[tuple[str, ...], str]:
    """What the account of KLAVIYO_API_KEY has; nothing if it is one of those given, or not there."""
    variables = [each.get("api_key_env") for each in given.values() if isinstance(each, dict)]
    if not default_is_there(given, variables):
        return {}
    owned = _owned(OWN, environment.SCHEMA.text, environment.DATABASE.text, OWN)
    return {(what, value.lower()): DEFAULT for _path, what, value in owned}


def default_is_there(names: Collection[str], variables: Collection[Any]) -> bool:
    """Whether the account of KLAVIYO_API_KEY is in the project, beside accounts with these names and key variables."""
    return bool(environment.API_KEY.text) and environment.API_KEY.name not in variables and OWN not in names


def _unreadable(document: Document, at: tuple[str, str]) -> list[Problem]:
    """The parser's own problems that lie in an account."""
    begins = document.keys[at]
    later = [place for path, place in document.keys.items() if len(path) == 2 and place > begins]
    ends = min(later, default=(float("inf"), 0))
    return [each for each in document.problems if begins <= (each.line, each.column) < ends]
