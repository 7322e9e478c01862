"""The redaction of every message: errors, logs, alerts, metadata and output of commands.

`keep_secret` registers a secret, and `watch` the value of an environment variable. Redaction finds them in plain text,
percent-encoded, JSON-escaped, as HTML entities, in base64, in hexadecimal and wrapped over lines. It also finds texts
that look like a Klaviyo key, Authorization headers, and credentials in addresses.
"""

from __future__ import annotations

import base64
import logging
import os
import re
import threading
import traceback
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit

API_KEY = "[api key]"
ADDRESS = "[webhook address]"
CREDENTIALS = "[credentials]"

SHORTEST = 4
"""Shorter texts are no secrets, and would be found in every sentence."""
SHORTEST_INSIDE_WORDS = 8
"""Shorter secrets are replaced only where they stand alone."""

_SECRET_NAME = re.compile(
    r"SECRET|TOKEN|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|WEBHOOK"
    r"|(API|ACCESS|PRIVATE|ACCOUNT|ENCRYPTION|SIGNING|SSH|AUTH)_?KEY|(^|_)(PASS|PWD|PAT|DSN)$",
    re.IGNORECASE,
)

_known: dict[str, str] = {}
_watched: dict[str, str] = {}
_lock = threading.Lock()


def keep_secret(text: str, mask: str = API_KEY) -> None:
    """Replace this text by ``mask`` in every message from now on."""
    secret = text.strip()
    if len(secret) >= SHORTEST:
        with _lock:
            _known[secret] = mask


def watch(variable: str, mask: str = API_KEY) -> None:
    """Replace the current value of an environment variable."""
    with _lock:
        _watched[variable] = mask


def looks_like_secret(variable: str, value: str) -> bool:
    """Whether the name or value of an environment variable looks like a secret."""
    return _SECRET_NAME.search(variable) is not None or redact(value) != value


def redact(text: str) -> str:
    """The text without secrets. Redacting twice changes nothing more."""
    for secret, mask in _secrets().items():
        for pattern in _patterns(secret):
            text = pattern.sub(mask, text)
    for pattern, replacement in _GENERAL:
        text = pattern.sub(replacement, text)
    return text


def redact_values(value: Any) -> Any:  # noqa: ANN401 - whatever a message is made of
    """Lists and mappings with redacted texts. Other values stay."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redact_values(name): redact_values(inner) for name, inner in value.items()}
    if type(value) in {list, tuple}:
        return type(value)(redact_values(inner) for inner in value)
    return value


def protect_logs() -> None:
    """Redact every log record of this process. Calling it again changes nothing."""
    made_by = logging.getLogRecordFactory()
    if getattr(made_by, "redacts", False):
        return

    def redacted_record(*args: Any, **kwargs: Any) -> logging.LogRecord:  # noqa: ANN401 - logging's own signature
        record = made_by(*args, **kwargs)
        _redact_record(record)
        return record

    redacted_record.redacts = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(redacted_record)


def _redact_record(record: logging.LogRecord) -> None:
    try:
        text = record.getMessage()
    except (TypeError, ValueError):  # arguments that do not fit: logging itself reports them
        return
    safe = redact(text)
    if safe != text:
        record.msg, record.args = safe, ()
    if record.exc_info and record.exc_info[0] is not None:
        shown = "".join(traceback.format_exception(*record.exc_info)).rstrip()
        safe = redact(shown)
        if safe != shown:
            record.exc_info, record.exc_text = None, safe


def shown(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def _secrets() -> dict[str, str]:
    """Every secret with its mask, the longest first: one may be a part of another."""
    with _lock:
        found = dict(_known)
        for variable, mask in _watched.items():
            value = os.environ.get(variable, "").strip()
            if len(value) >= SHORTEST:
                found.setdefault(value, mask)
    for secret, mask in list(found.items()):
        if mask == ADDRESS:  # libraries tell the path of an address that they could not reach
            path = _after_host(secret)
            if not path.strip("/"):  # a host alone is no secret, and other addresses may begin with it
                del found[secret]
            elif len(path) >= SHORTEST_INSIDE_WORDS:
                found.setdefault(path, mask)
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))


def _after_host(address: str) -> str:
    """The path and query of an address, or the whole text if it is not an address."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return address
    if not parts.netloc or "@" in parts.netloc:
        return address
    return address.partition(parts.netloc)[2].partition("#")[0]


@cache
def _patterns(secret: str) -> tuple[re.Pattern[str], ...]:
    plain = _spelled(secret)
    if len(secret) < SHORTEST_INSIDE_WORDS:
        return (re.compile(rf"(?<![A-Za-z0-9_]){plain}(?![A-Za-z0-9_])"),)
    cores = {
        _core(encode(b"\0" * offset + secret.encode()).decode(), offset)
        for offset in range(3)
        for encode in (base64.standard_b64encode, base64.urlsafe_b64encode)
    }
    return (
        re.compile(plain),
        re.compile("".join(map(_either_case, secret.encode().hex()))),
        *(re.compile(_spelled(core) + "=*") for core in sorted(cores, key=len, reverse=True)),
    )


def _core(encoded: str, offset: int) -> str:
    """The characters of a base64 text that depend on the secret alone, not on its neighbours."""
    text = encoded.rstrip("=")
    if text != encoded:
        text = text[:-1]
    return text[(0, 2, 3)[offset] :]


def _spelled(text: str) -> str:
    """A pattern for a text whose characters may each be written in any of the usual ways."""
    return _character(text[0]) + "".join(_BETWEEN + _character(each) for each in text[1:])


@cache
def _character(character: str) -> str:
    """A pattern for one character. Every alternative begins with a literal, so that a search skips what fits none."""
    code = ord(character)
    percent = "".join(f"%(?:25){{0,3}}{_either_case(f'{byte:02x}')}" for byte in character.encode())
    forms = [
        *{re.escape(each) for each in (character, character.lower(), character.upper())},
        percent,
        rf"\\{{1,8}}u0{{0,4}}{_either_case(f'{code:04x}')}",
        rf"\\{{1,8}}x0{{0,4}}{_either_case(f'{code:02x}')}",
        f"&(?:amp;){{0,3}}#0{{0,8}}{code};",
        f"&(?:amp;){{0,3}}#[xX]0{{0,8}}{_either_case(f'{code:x}')};",
    ]
    name = _ENTITIES.get(character)
    if name:
        forms.append(f"&(?:amp;){{0,3}}{name};")
    return f"(?:{'|'.join(forms)})"


def _either_case(hexadecimal: str) -> str:
    return "".join(f"[{each}{each.upper()}]" if each.isalpha() else each for each in hexadecimal)


_BETWEEN = r"[\\\s]{0,80}(?:(?<=\\)[rn][\\\s]{0,80}){0,2}"
"""What may stand between two characters: backslashes, and where a text was wrapped, whitespace as it is or as JSON."""
_ENTITIES = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos", "/": "sol", "+": "plus", "_": "lowbar"}
_ENCODED = (
    r"%(?:25){0,3}[0-9A-Fa-f]{2}|\\{1,8}(?:u00|x)[0-9A-Fa-f]{2}|&(?:amp;){0,3}#(?:0{0,4}[0-9]{2,3}|[xX][0-9A-Fa-f]{2});"
)
_UNTIL_SPACE = r"(?![\s\[\"'])[^\s\"'<>,;]+"
_SCHEME = r"(?:(?!Klaviyo)[A-Za-z][\w-]{0,40}\s{1,9})?(?!Klaviyo)"
_GENERAL = (
    (re.compile(_spelled("pk_") + rf"(?:[A-Za-z0-9_]|{_ENCODED})+"), API_KEY),
    (re.compile(rf"(Klaviyo-API-Key)(?:\s|%20|\+|[:=\"']){{1,9}}{_UNTIL_SPACE}", re.IGNORECASE), rf"\1 {API_KEY}"),
    (
        re.compile(rf"(Authorization)[\"']?\s{{0,9}}[:=]\s{{0,9}}[\"']?{_SCHEME}{_UNTIL_SPACE}", re.IGNORECASE),
        rf"\1: {CREDENTIALS}",
    ),
    (re.compile(r"(://)(?!\[credentials\])[^/\s@\"'<>]{1,500}@"), rf"\1{CREDENTIALS}@"),
    (
        re.compile(
            r"(password|motherduck_token|secret_access_key)=(?!\[credentials\])[^\s&;\"'<>]{1,500}", re.IGNORECASE
        ),
        rf"\1={CREDENTIALS}",
    ),
    (re.compile(r"https?://hooks\.slack\.com/[^\s\"'<>]+", re.IGNORECASE), ADDRESS),
)
