"""The grammar of destinations: the path of a DuckDB file, ``ducklake:…`` or ``md:…``.

A password has no place in it: it would be shown wherever the destination is. Postgres takes it from PGPASSWORD or a
password file, MotherDuck from MOTHERDUCK_TOKEN.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from klaviyo_pipeline.paths import UnusablePathError, file_path, folder_path
from klaviyo_pipeline.redaction import CREDENTIALS, keep_secret

LAKE_SUFFIX = ".ducklake"
_FORMS = (
    "the path of a DuckDB file, ducklake:postgres:dbname=lake host=db user=klaviyo, "
    f"ducklake:postgresql://klaviyo@db/lake, ducklake:data/klaviyo{LAKE_SUFFIX}, or md:name"
)
_WORD = re.compile(r"\s*([a-z_]+)\s*=\s*([^\s'\"\\;]+)(?=\s|\Z)")
_PARAMETERS = {
    "application_name", "channel_binding", "connect_timeout", "dbname", "gssencmode", "host", "hostaddr", "keepalives",
    "keepalives_idle", "options", "passfile", "port", "service", "sslcert", "sslcrl", "sslkey", "sslmode",
    "sslrootcert", "target_session_attrs", "user",
}  # fmt: skip
_SECRET = {"password", "sslpassword"}
_BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^\s?#'\"\\]*)?")


@dataclass(frozen=True)
class FileAddress:
    """A DuckDB file."""

    path: Path


@dataclass(frozen=True)
class LakeAddress:
    """A DuckLake: what keeps its catalog, either a Postgres database, for libpq, or a DuckDB file."""

    postgres: str = ""
    file: Path | None = None


@dataclass(frozen=True)
class MotherDuckAddress:
    """A database at MotherDuck."""

    database: str


Address = FileAddress | LakeAddress | MotherDuckAddress


class AddressError(ValueError):
    """The text is no destination. The message names it and what is allowed."""


def parse_address(text: str, what: str) -> Address:
    """The destination that a text names.

    Args:
        text: The text as a person wrote it.
        what: The name of the setting. The message begins with it.

    Raises:
        AddressError: It names none, or has a password.
    """
    given = text.strip()
    scheme, _, rest = given.partition(":")
    try:
        if scheme == "ducklake":
            return _lake(rest, what)
        if scheme == "md":
            return _mother_duck(rest, what)
        if re.fullmatch(r"[a-z][a-z0-9+.-]+", scheme) and given != scheme:
            raise AddressError(f"{what} has the scheme {scheme}:, but must be {_FORMS}.")
        return FileAddress(file_path(given, what))
    except UnusablePathError as error:
        raise AddressError(str(error)) from None


def parse_postgres(text: str, what: str) -> str:
    """The Postgres database that a text names, for libpq: ``postgresql://user@host/name`` or ``postgres:dbname=…``.

    Raises:
        AddressError: It names none, or has a password.
    """
    given = text.strip()
    if given.startswith(("postgres://", "postgresql://")):
        return _postgres_url(given, what)
    if given.startswith("postgres:"):
        return _postgres_words(given.removeprefix("postgres:"), what)
    raise AddressError(f"{what} must be written postgresql://user@host:port/database, or postgres:dbname=… host=….")


def parse_data_path(text: str, what: str) -> str:
    """Where a lake's Parquet files go, with a slash at its end: an absolute folder, or ``s3://bucket/…``.

    Raises:
        AddressError: It is neither.
    """
    given = text.strip()
    if given.lower().startswith("s3:"):
        if not _BUCKET.fullmatch(given):
            raise AddressError(f"{what} is {given!r}, but must be s3://bucket or s3://bucket/folder.")
        return given.rstrip("/") + "/"
    try:
        return f"{folder_path(given, what).absolute()}/"
    except UnusablePathError as error:
        raise AddressError(str(error)) from None


def _lake(rest: str, what: str) -> LakeAddress:
    if rest.startswith(("postgres://", "postgresql://")):
        return LakeAddress(postgres=_postgres_url(rest, what))
    if rest.startswith("postgres:"):
        return LakeAddress(postgres=_postgres_words(rest.removeprefix("postgres:"), what))
    if rest.startswith(("sqlite:", "mysql:")) or not rest.endswith(LAKE_SUFFIX):
        raise AddressError(
            f"{what} begins with ducklake:, so the catalog must follow: postgres: with libpq's parameters, "
            f"postgresql:// with an address, or a file whose name ends in {LAKE_SUFFIX}. A SQLite catalog fails when "
            "several processes commit, so it is not supported."
        )
    return LakeAddress(file=file_path(rest, what))


def _postgres_words(text: str, what: str) -> str:
    words, position = dict[str, str](), 0
    while position < len(text.rstrip()):
        found = _WORD.match(text, position)
        if not found:
            raise AddressError(
                f"{what} has libpq parameters after postgres: that can't be read. Write name=value, separated by "
                "spaces, without quotes: dbname=lake host=db user=klaviyo."
            )
        words[found[1]], position = found[2], found.end()
    _check_parameters(words, what)
    if not words.keys() & {"dbname", "service"}:
        raise AddressError(f"{what} names no Postgres database: add dbname=….")
    return " ".join(f"{name}={value}" for name, value in words.items())


def _postgres_url(text: str, what: str) -> str:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise AddressError(f"{what} has an address of Postgres that can't be read.") from None
    if parts.password:
        keep_secret(parts.password, CREDENTIALS)
        raise _password(what)
    _check_parameters(dict(parse_qsl(parts.query)), what)
    if not parts.path.strip("/") or re.search(r"[\s'\"\\;]", text):
        raise AddressError(f"{what} has an address of Postgres that must be written postgresql://user@host:port/name.")
    return text.replace("postgres://", "postgresql://", 1)


def _check_parameters(words: dict[str, str], what: str) -> None:
    for name in words.keys() & _SECRET:
        keep_secret(words[name], CREDENTIALS)
        raise _password(what)
    unknown = sorted(words.keys() - _PARAMETERS)
    if unknown:
        raise AddressError(f"{what} has {unknown[0]}=, which is none of: {', '.join(sorted(_PARAMETERS))}.")


def _password(what: str) -> AddressError:
    return AddressError(
        f"{what} has a password, which would be shown wherever the destination is. Take it out, and set the "
        "environment variable PGPASSWORD, or use a password file (~/.pgpass)."
    )


def _mother_duck(rest: str, what: str) -> MotherDuckAddress:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", rest):
        raise AddressError(f"{what} must be md: and the name of a database, without a token: set MOTHERDUCK_TOKEN.")
    return MotherDuckAddress(rest)
