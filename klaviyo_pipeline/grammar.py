"""The grammar of settings: one parser for each kind of text, for validation and for use.

A parser takes a text and the name of its setting, and returns the text to use. It raises ConfigurationError, which
names the setting, the text and the allowed values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, date
from urllib.parse import urlsplit

from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.revisions import check_revision
from klaviyo_pipeline.klaviyo.client.address import check_address, is_loopback
from klaviyo_pipeline.paths import UnusablePathError, file_path, folder_path
from klaviyo_pipeline.times import parse_time, parse_zone
from klaviyo_pipeline.warehouse.addresses import AddressError, parse_address, parse_data_path, parse_postgres
from klaviyo_pipeline.warehouse.errors import WarehouseError
from klaviyo_pipeline.warehouse.names import check_schema, check_table

Parser = Callable[[str, str], str]

LEAST_PRIVACY_SECRET = 16
LEAST_MEMORY_MB = 64
"""With less DuckDB cannot land the widest tables."""
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2100, 1, 1)
ON, _OFF = ("on", "true", "yes", "1"), ("off", "false", "no", "0")


def text(given: str, _name: str) -> str:
    """Any text."""
    return given


def owners(given: str, name: str) -> str:
    """Owners in Dagster's form: teams or mail addresses, separated by commas."""
    found = [each.strip() for each in given.split(",")]
    for owner in found:
        if not re.fullmatch(r"team:\S+|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7}", owner):
            raise ConfigurationError(
                f"{name} is {given!r}, but must be owners separated by commas, each team:name or a mail address: "
                f"{owner!r} is neither."
            )
    return ",".join(found)


def one_line(given: str, name: str) -> str:
    """A text without control characters. The message does not show it."""
    if not given.isprintable():
        raise ConfigurationError(f"{name} has a line break or another control character.")
    return given


_MAIL = r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*"


def mail_addresses(given: str, name: str) -> str:
    """Mail addresses, separated by commas."""
    found = [each.strip() for each in given.split(",")]
    for each in found:
        if not re.fullmatch(_MAIL, each):
            raise ConfigurationError(f"{name} is {given!r}, but must be mail addresses separated by commas.")
    return ",".join(found)


def host_and_port(given: str, name: str) -> str:
    """A host and a port, such as mail.example.com:587."""
    host, _colon, port = given.rpartition(":")
    if not re.fullmatch(r"[A-Za-z0-9.-]+", host) or not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise ConfigurationError(f"{name} is {given!r}, but must be host:port, such as mail.example.com:587.")
    return given


def file(given: str, name: str) -> str:
    """The path of a file."""
    try:
        return str(file_path(given, name))
    except UnusablePathError as error:
        raise ConfigurationError(str(error)) from None


def destination(given: str, name: str) -> str:
    """A destination, unchanged: the path of a DuckDB file, ``ducklake:…`` or ``md:…``. A password is refused."""
    try:
        parse_address(given, name)
    except AddressError as error:
        raise ConfigurationError(str(error)) from None
    return given.strip()


def coordination(given: str, name: str) -> str:
    """A Postgres database without a password, in libpq's words or as an address; or off."""
    if given.strip().lower() in _OFF:
        return "off"
    try:
        return parse_postgres(given, name)
    except AddressError as error:
        raise ConfigurationError(f"{error} Or off.") from None


def data_path(given: str, name: str) -> str:
    """Where the Parquet files of a lake go: a folder, or s3://bucket/folder."""
    try:
        return parse_data_path(given, name)
    except AddressError as error:
        raise ConfigurationError(str(error)) from None


def folder(given: str, name: str) -> str:
    """The path of a folder."""
    try:
        return str(folder_path(given, name))
    except UnusablePathError as error:
        raise ConfigurationError(str(error)) from None


def file_mode(given: str, name: str) -> str:
    """The mode of a file in octal. Its owner must be able to read and write the file."""
    mode = int(given, 8) if re.fullmatch("(0o?)?[0-7]{3}", given) else 0
    if mode & 0o600 != 0o600 or mode & 0o111:
        raise ConfigurationError(
            f"{name} is {given!r}, but must be a file mode in octal with which the owner reads and writes, and nobody "
            "executes: 0600 (the owner only), 0640 (the group reads), 0644 (all read), 0660 or 0664."
        )
    return given


def schema(given: str, name: str) -> str:
    """The name of a schema."""
    try:
        return check_schema(given, name)
    except WarehouseError as error:
        raise ConfigurationError(str(error)) from None


def table(given: str, name: str) -> str:
    """The name of a table."""
    try:
        return check_table(given, name)
    except WarehouseError as error:
        raise ConfigurationError(str(error)) from None


def zone(given: str, name: str) -> str:
    """An IANA time zone."""
    return parse_zone(given, name).key


def day(given: str, name: str) -> str:
    """A day as YYYY-MM-DD, and no other form of ISO 8601, because partitions have such names."""
    try:
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", given):
            raise ValueError
        found = date.fromisoformat(given)
    except ValueError:
        raise ConfigurationError(f"{name} is {given!r}, but must be a day written YYYY-MM-DD.") from None
    if not FIRST_DAY <= found <= LAST_DAY:
        raise ConfigurationError(f"{name} is {given!r}, but must be a day from {FIRST_DAY} to {LAST_DAY}.")
    return given


def moment(given: str, name: str) -> str:
    """An ISO 8601 time in UTC. A time without an offset is in UTC."""
    return parse_time(given, UTC, name).isoformat()


def revision(given: str, name: str) -> str:
    """A revision of Klaviyo's API, unchanged: any day from the first revision on."""
    try:
        check_revision(given)
    except ConfigurationError as error:
        raise ConfigurationError(str(error).replace("revision", name, 1)) from None
    return given.strip()


def sources(given: str, name: str) -> str:
    """Names, patterns and groups of data sources, also with + and -. Returns the names of the data sources."""
    from klaviyo_pipeline.klaviyo.catalogue.registry import choose

    try:
        return ",".join(choose(given))
    except ConfigurationError as error:
        raise ConfigurationError(f"{name} is {given!r}, but {error}") from None


def names(given: str, name: str) -> str:
    """Names separated by commas. Returns them as a JSON array."""
    found = [each.strip() for each in given.split(",") if each.strip()]
    if not found:
        raise ConfigurationError(f"{name} is {given!r}, but must have names, separated by commas.")
    return json.dumps(found)


def columns(given: str, name: str) -> str:
    """Columns that can be left out, as source.column, separated by commas. Returns them as a JSON array."""
    from klaviyo_pipeline.klaviyo.catalogue.leaving_out import without
    from klaviyo_pipeline.klaviyo.catalogue.registry import source_named

    found = json.loads(names(given, name))
    try:
        for each in found:
            source, dot, column = each.partition(".")
            if not dot:
                raise ConfigurationError(f"{each!r} is not written source.column.")
            without(source_named(source), [column])
    except ConfigurationError as error:
        raise ConfigurationError(f"{name} is {given!r}, but {error}") from None
    return json.dumps(found)


def switch(given: str, name: str) -> str:
    """``on`` or ``off``."""
    if given.lower() in ON:
        return "on"
    if given.lower() in _OFF:
        return "off"
    raise ConfigurationError(f"{name} is {given!r}, but must be on or off.")


def one_of(*allowed: str) -> Parser:
    """One of some words."""

    def parse(given: str, name: str) -> str:
        if given.lower() not in allowed:
            raise ConfigurationError(f"{name} is {given!r}, but must be {' or '.join(allowed)}, or blank.")
        return given.lower()

    return parse


def number(low: float, high: float, *, whole: bool = False) -> Parser:
    """A number from ``low`` to ``high``, in plain decimals."""

    def parse(given: str, name: str) -> str:
        plain = re.fullmatch(r"[0-9]{1,15}" if whole else r"[0-9]{1,15}(\.[0-9]{1,15})?", given)
        if not plain or not low <= float(given) <= high:
            kind = "whole number" if whole else "number"
            raise ConfigurationError(f"{name} is {given!r}, but must be a {kind} from {low:g} to {high:g}.")
        return given

    return parse


def memory(given: str, name: str) -> str:
    """An amount of memory in DuckDB's form, such as 300MB or 1.5 GiB, at least LEAST_MEMORY_MB."""
    found = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,3})?) ?(MB|GB|MiB|GiB)", given.strip(), re.IGNORECASE)
    megabytes = float(found[1]) * (1000 if found[2][0] in "gG" else 1) if found else 0.0
    if megabytes < LEAST_MEMORY_MB:
        raise ConfigurationError(
            f"{name} is {given!r}, but must be an amount of memory from {LEAST_MEMORY_MB}MB, such as 300MB or 2GB."
        )
    return given.strip()


def address(given: str, name: str) -> str:
    """An address with http or https. The message does not show it, because it may contain a secret."""
    try:
        parts = urlsplit(given)
        plain = given.isascii() and given.isprintable() and not re.search(r"\s", given)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        plain = known = False
    if not (plain and known):
        raise ConfigurationError(f"{name} is not an address: it must begin with https:// or http:// and name a host.")
    return given


def klaviyo_address(allow_http: Callable[[], bool]) -> Parser:
    """An address that may get a key, in the client's form. Calls ``allow_http`` only for http."""

    def parse(given: str, name: str) -> str:
        return check_address(given, allow_http=given.lower().startswith("http:") and allow_http(), name=name)

    return parse


def secret_address(allow_http: Callable[[], bool], sends: str = "it") -> Parser:
    """An address that is a secret, or that gets some, so http is not allowed; ``sends``: what would be in clear."""

    def parse(given: str, name: str) -> str:
        parts = urlsplit(address(given, name))
        if parts.username is not None or parts.password is not None:
            raise ConfigurationError(f"{name} has a user or a password before the host, which is not sent.")
        if parts.scheme == "http" and not (is_loopback(parts.hostname or "") or allow_http()):
            raise ConfigurationError(
                f"{name} begins with http://, which sends {sends} over the network in clear. Use https, or set the "
                "environment variable KLAVIYO_ALLOW_HTTP to 1 for a network that you trust."
            )
        return given

    return parse


def key(given: str, name: str) -> str:
    """A secret for a header. The message does not show it."""
    if not (given.isascii() and given.isprintable()) or " " in given:
        raise ConfigurationError(f"{name} has spaces, line breaks or other characters that no API key has.")
    return given


def privacy_secret(given: str, name: str) -> str:
    """The key of hashes. The message does not show it."""
    if len(given) < LEAST_PRIVACY_SECRET:
        raise ConfigurationError(f"{name} must have at least {LEAST_PRIVACY_SECRET} characters.")
    return given


def privacy(secret: Callable[[], str]) -> Parser:
    """Privacy rules, unchanged. ``secret`` gives the key of hashes."""

    def parse(given: str, name: str) -> str:
        from klaviyo_pipeline.klaviyo.privacy.parsing import read_rules

        read_rules(given, name, secret())
        return given

    return parse
