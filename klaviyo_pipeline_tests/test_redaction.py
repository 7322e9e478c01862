"""No message has a secret in it, in whatever spelling a text has it."""

from __future__ import annotations

import base64
import html
import json
import logging
import random
import re
from collections.abc import Callable
from urllib.parse import quote, quote_plus, unquote

import click
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_pipeline import redaction
from klaviyo_pipeline.cli.failing import Commands, failure_of
from klaviyo_pipeline.errors import SecretInErrorError, no_secrets
from klaviyo_pipeline.klaviyo.client.answers import shown
from klaviyo_pipeline.klaviyo.errors import KlaviyoError, RequestRefusedError
from klaviyo_pipeline.loads.landing import plain_details
from klaviyo_pipeline.orchestration.automation.webhook import WebhookError
from klaviyo_pipeline.redaction import ADDRESS, keep_secret, redact, redact_values
from klaviyo_pipeline.warehouse.errors import WarehouseError
from klaviyo_pipeline.yaml_files.problems import FileError, Problem
from klaviyo_pipeline_tests.soaking import examples

HOOK = "https://hooks.example/services/T0/B0/f00-ba4"
ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+/=.~&<>\"'\\%$#"

SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": lambda key: key,
    "percent-encoded": lambda key: quote(key, safe=""),
    "percent-encoded in small letters": lambda key: "".join(f"%{byte:02x}" for byte in key.encode()),
    "percent-encoded twice": lambda key: quote(quote(key, safe=""), safe=""),
    "as a form": quote_plus,
    "JSON": lambda key: json.dumps(key)[1:-1],
    "JSON with escaped slashes": lambda key: json.dumps(key)[1:-1].replace("/", "\\/"),
    "JSON in JSON": lambda key: json.dumps(json.dumps(key))[3:-3],
    "JSON as code points": lambda key: "".join(f"\\u{ord(each):04x}" for each in key),
    "JSON as code points in capitals": lambda key: "".join(f"\\u{ord(each):04X}" for each in key),
    "HTML": html.escape,
    "HTML by numbers": lambda key: "".join(f"&#{ord(each)};" for each in key),
    "HTML by hexadecimal numbers": lambda key: "".join(f"&#x{ord(each):X};" for each in key),
    "repr": lambda key: repr(key)[1:-1],
    "repr of bytes": lambda key: "".join(f"\\x{byte:02x}" for byte in key.encode()),
    "capitals": str.upper,
    "wrapped": lambda key: f"{key[:5]}\n{' ' * 20}{key[5:]}",
    "wrapped by Windows": lambda key: "\r\n".join(key),
    "wrapped, as JSON": lambda key: json.dumps(f"{key[:5]}\r\n  {key[5:]}")[1:-1],
    "wrapped by a shell": lambda key: f"{key[:5]}\\\n{key[5:]}",
    "unwrapped to spaces": " ".join,
    "hexadecimal": lambda key: key.encode().hex(),
    "hexadecimal in capitals": lambda key: key.encode().hex().upper(),
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "base64 of Basic": lambda key: base64.b64encode(f"{key}:".encode()).decode(),
    "base64 as a password": lambda key: base64.b64encode(f"me:{key}".encode()).decode(),
    "base64 of a header": lambda key: base64.b64encode(f"Klaviyo-API-Key {key}".encode()).decode(),
    "base64 for addresses": lambda key: base64.urlsafe_b64encode(f"{key}?".encode()).decode(),
    "base64, percent-encoded": lambda key: quote(base64.b64encode(f"x{key}".encode()).decode(), safe=""),
    "a header": lambda key: f"Authorization: Klaviyo-API-Key {key}",
    "a header as JSON": lambda key: json.dumps({"Authorization": f"Klaviyo-API-Key {key}"}),
    "an address": lambda key: f"https://{quote(key, safe='')}@a.klaviyo.com/api?page%5Bcursor%5D={quote(key, safe='')}",
}
MESSAGES: dict[str, Callable[[str], str]] = {
    "error": lambda text: str(KlaviyoError(text)),
    "refusal": lambda text: f"{RequestRefusedError('x', parameter=text).parameter} {RequestRefusedError(text)}",
    "error of the database": lambda text: str(WarehouseError(text)),
    "error of a file": lambda text: str(FileError("x.yml", [Problem(1, 1, text)])),
    "error of the webhook": lambda text: str(WebhookError(text)),
    "command": lambda text: failure_of(ValueError(text)).message,
    "server's text": shown,
    "metadata": lambda text: json.dumps(plain_details({"a": [text], text: {"b": text}}), ensure_ascii=False),
    "log": lambda text: logged("%s", text),
    "log without arguments": lambda text: logged(text.replace("%", "%%") if "%" in text else text),
}


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets of these tests stay in them."""
    monkeypatch.setattr(redaction, "_known", {})
    monkeypatch.setattr(redaction, "_watched", {})


def logged(message: str, *arguments: object) -> str:
    """A message as a handler writes it."""
    redaction.protect_logs()
    record = logging.getLogger("test").makeRecord("test", logging.INFO, "x.py", 1, message, arguments, None)
    return record.getMessage()


def parts(key: str) -> list[str]:
    """Forms by which somebody could read the key off a text."""
    return [key, quote(key, safe=""), json.dumps(key)[1:-1], html.escape(key)]


_HEX = re.compile(r"\b(?:[2-7][0-9a-fA-F]){8,}\b")


def reveals(text: str, key: str) -> bool:
    """Whether a person with a decoder reads the key off a text."""
    seen = [text, unquote(unquote(text)), html.unescape(text)]
    seen.append(re.sub(r"\\+(?:u00|x)([0-9a-fA-F]{2})", lambda found: chr(int(found[1], 16)), text))
    seen += [html.unescape(each) for each in seen] + [each.replace("\\", "") for each in seen]
    seen += ["".join(each.split()) for each in seen] + [bytes.fromhex(each).decode() for each in _HEX.findall(text)]
    return any(piece.lower() in each.lower() for each in seen for piece in parts(key))


keys = st.text(ALPHABET, min_size=8, max_size=48)


@pytest.mark.parametrize("where", sorted(MESSAGES))
@examples(60)
@given(key=keys, spelling=st.sampled_from(sorted(SPELLINGS)), before=st.text(ALPHABET + " \n", max_size=20))
def test_message_whatever_the_text_and_the_spelling_has_no_registered_key(
    where: str, key: str, spelling: str, before: str
) -> None:
    redaction._known.clear()
    keep_secret(key)
    spelled = SPELLINGS[spelling](key)
    message = MESSAGES[where](f"{before} {spelled} after")
    assert spelled not in message
    assert not reveals(message, key)


@examples(60)
@given(text=st.text(ALPHABET + " :\n"), key=keys)
def test_redaction_twice_is_redaction_once_and_texts_without_secrets_stay(text: str, key: str) -> None:
    redaction._known.clear()
    keep_secret(key)
    once = redact(text)
    assert redact(once) == once
    plain = "Lists: 12 rows read, see docs/operations.md; window 2026-01-01T00:00:00+00:00 to now (75/s, 700/min)."
    assert redact(plain) == plain


@pytest.mark.parametrize("spelling", sorted(SPELLINGS))
def test_key_that_nobody_registered_is_found_by_its_looks(spelling: str) -> None:
    if spelling == "capitals" or any(each in spelling for each in ("base64", "hexadecimal", "wrapped")):
        pytest.skip("only a registered secret is found in these")
    key = "pk_" + "8f0a2c4e6b8d0f1a3c5e7b9d1f2a4c6e8b"
    assert not reveals(redact(f"a {SPELLINGS[spelling](key)} b"), key)


@pytest.mark.parametrize("cut_at", range(280, 330, 3))
def test_key_at_the_edge_of_a_shortened_text_is_not_cut_in_half(cut_at: int) -> None:
    key = "".join(random.Random(1).choices("0123456789abcdef", k=34))
    keep_secret(key)
    text = shown("x" * cut_at + key + "y" * 5000)
    assert not any(key[:length] in text for length in (8, 16, 30))


def test_webhooks_address_is_in_no_error_of_a_library() -> None:
    keep_secret(HOOK.replace("hooks.example", "127.0.0.1:9"), ADDRESS)
    with pytest.raises(requests.ConnectionError) as raised:
        requests.post(HOOK.replace("https://hooks.example", "http://127.0.0.1:9"), timeout=5)
    assert "/services/T0/B0" in str(raised.value), "the library tells the path"
    assert "/services/T0/B0" not in redact(str(raised.value))
    assert "f00-ba4" not in failure_of(raised.value).message


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("http://127.0.0.1", "http://127.0.0.1:8765/api/events"),
        ("https://hooks.example/", "https://hooks.example/docs"),
        ("https://hooks.example/in?token=s3cretf00", "https://hooks.example/in"),
    ],
)
def test_host_of_a_webhook_is_no_secret(monkeypatch: pytest.MonkeyPatch, address: str, told: str) -> None:
    monkeypatch.setattr(redaction, "_known", {})
    keep_secret(address, ADDRESS)
    assert redact(told) == told
    assert "s3cret" not in redact(f"{address} {address.partition('.example')[2]}")


@pytest.mark.parametrize(
    "address", ["https://hooks.example/s3", "https://s3:s3@hooks.example", "https://[s3", "s3//s3"]
)
def test_address_of_a_webhook_when_short_or_odd_is_masked_whole(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr(redaction, "_known", {})
    keep_secret(address, ADDRESS)
    assert redact(f"{address} failed") == f"{ADDRESS} failed"


def test_credentials_of_a_proxy_are_in_no_message() -> None:
    assert "hunter2" not in redact("Cannot connect to proxy http://me:hunter2@proxy.example:3128")


def test_variable_that_is_watched_is_known_whenever_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    redaction.watch("MY_SECRET")
    monkeypatch.setenv("MY_SECRET", "first-value-of-it")
    assert redact("a first-value-of-it") == "a [api key]"
    monkeypatch.setenv("MY_SECRET", "second-value-of-it")
    assert redact("a second-value-of-it") == "a [api key]"


@pytest.mark.parametrize(("secret", "text", "after"), [
    ("xxx", "xxx is too short to be one", "xxx is too short to be one"),
    ("hunt", "a hunter and hunt", "a hunter and [api key]"),
    ("hunter22", "ahunter22b", "a[api key]b"),
])  # fmt: skip
def test_short_secret_is_replaced_only_where_it_stands_alone(secret: str, text: str, after: str) -> None:
    keep_secret(secret)
    assert redact(text) == after


def test_log_with_a_traceback_has_no_key_of_the_exception_or_its_causes() -> None:
    keep_secret("secret-of-a-traceback")
    redaction.protect_logs()
    written: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(self.format(record))

    logger = logging.getLogger("test_redaction")
    logger.addHandler(Kept())
    try:
        try:
            raise ValueError("from secret-of-a-traceback")
        except ValueError as error:
            raise RuntimeError("later") from error
    except RuntimeError:
        logger.exception("It failed with %s", "secret-of-a-traceback")
    assert "secret-of-a-traceback" not in written[0]
    assert "RuntimeError: later" in written[0]


def test_error_of_another_library_with_a_secret_is_replaced_with_all_its_causes() -> None:
    keep_secret("secret-of-a-library")

    def fail() -> None:
        with no_secrets():
            try:
                raise OSError("no secret-of-a-library")
            except OSError as error:
                raise LookupError("harmless") from error

    with pytest.raises(SecretInErrorError) as raised:
        fail()
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
    with pytest.raises(LookupError), no_secrets():
        raise LookupError("nothing of the kind")


def test_values_of_other_types_stay() -> None:
    assert redact_values({"a": [1, None, (2.5, True)]}) == {"a": [1, None, (2.5, True)]}


def test_command_that_is_given_a_key_where_it_does_not_belong_does_not_repeat_it() -> None:
    from click.testing import CliRunner

    @click.group(cls=Commands)
    def main() -> None:
        """Nothing."""

    @main.command()
    @click.argument("number", type=int)
    def count(number: int) -> None:
        """Nothing."""

    for arguments in (["count", "pk_pasted_here"], ["pk_pasted_here"], ["count", "--pk_pasted_here"]):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 2
        assert "pk_pasted_here" not in result.output


@pytest.mark.parametrize(
    ("variable", "value", "is_one"),
    [
        *(
            (name, "swordfish", True)
            for name in ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "DB_PASS", "PGPASSWORD")
        ),
        *((name, "swordfish", True) for name in ("SLACK_WEBHOOK_URL", "SENTRY_DSN", "GITHUB_PAT", "SSH_PRIVATE_KEY")),
        ("DATABASE_URL", "postgres://me:swordfish@db/x", True),
        ("HIDDEN", "my registered secret", True),
        *((name, "2026-09-01", False) for name in ("TD_DAY", "HOME", "PARTITION_KEY", "PASSAGE", "KEYBOARD")),
        ("DATABASE_URL", "https://a.klaviyo.com", False),
    ],
)
def test_variable_that_looks_like_a_secret_by_its_name_or_its_value(variable: str, value: str, is_one: bool) -> None:
    keep_secret("my registered secret")
    assert redaction.looks_like_secret(variable, value) == is_one
