"""Settings from the environment: each has one grammar, and what it accepts also works."""

from __future__ import annotations

import itertools
import subprocess
import sys
import zoneinfo
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from klaviyo_pipeline import environment, grammar, redaction
from klaviyo_pipeline.definitions import definitions
from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
from klaviyo_pipeline.loads.request import LONGEST_LOOKBACK_DAYS, LoadRequest, parse_lookback, window_of
from klaviyo_pipeline.orchestration.assets.config import config_class
from klaviyo_pipeline.orchestration.automation import webhook
from klaviyo_pipeline.orchestration.partitions import daily_partitions
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.errors import TableNameError
from klaviyo_pipeline.warehouse.names import check_schema, check_table
from klaviyo_pipeline.warehouse.reading import read_table
from klaviyo_pipeline.warehouse.tables import Table
from klaviyo_pipeline_tests.soaking import examples
from klaviyo_pipeline_tests.transfers.workplace import Workplace, place, shop
from klaviyo_pipeline_tests.warehouse.helpers import EVENTS, event, put

__all__ = ["place", "shop"]

SECRET = "pk_secret_of_the_test"
WRONG = {
    "KLAVIYO_API_KEY": [f"{SECRET} {SECRET}", f"{SECRET}\x7f", f"{SECRET}é"],
    "KLAVIYO_BASE_URL": [
        "a.klaviyo.com",
        "ftp://host",
        "https://",
        "https://ho st",
        "http://[",
        "http://x:99999",
        f"https://me:{SECRET}@host",
        "https://host/?a=1",
        "https://host/#a",
        "https://host:",
        "http://host",
    ],
    "KLAVIYO_REVISION": ["2022", "20221217", "yesterday"],
    "KLAVIYO_SOURCES": ["evnts", "lists, -lists", "core, no_*"],
    "KLAVIYO_METRICS": [",", " , ,"],
    "KLAVIYO_LEAVE_OUT": [",", "events", "evnts.uuid", "events.uid", "events.datetime", "lists.id"],
    "KLAVIYO_DUCKDB_PATH": ["s3://bucket/x", ":memory:", "/"],
    "KLAVIYO_DESTINATION": [
        "postgres:dbname=x",
        "ducklake:x.duckdb",
        f"ducklake:postgresql://me:{SECRET}@db/lake",
        "md:",
    ],
    "KLAVIYO_COORDINATION": ["on", "redis://host", f"postgresql://me:{SECRET}@db/lake"],
    "KLAVIYO_DATA_PATH": ["gs://bucket", "s3:bucket", "/dev/null"],
    "KLAVIYO_INSTALL_EXTENSIONS": ["maybe"],
    "KLAVIYO_DATABASE_MODE": ["rw-r-----", "9999"],
    "KLAVIYO_SHRINK_SHARE": ["1.5", "-1", "nan", "a fifth"],
    "KLAVIYO_STAGE_MB": ["99", "0", "-1", "2000000", "5GB"],
    "KLAVIYO_FRESH_PARENTS_MINUTES": ["-1", "10081", "hour"],
    "KLAVIYO_SHRINK_ROWS": ["-1", "1.5", "2000000000", "ten"],
    "KLAVIYO_SCHEMA": ["information_schema", "PG_CATALOG", "klaviyo_pipeline", "{x}", "a.b", "x" * 129, "a\tb"],
    "KLAVIYO_TIMEZONE": ["PST", "Mars/Olympus", "../../etc/passwd", "America/"],
    "KLAVIYO_PARTITION_START": ["20240101", "2024-W01-1", "2024-1-1", "2024-02-30", "0001-01-01", "9999-12-31", "x"],
    "KLAVIYO_STAGING_DIR": ["s3://bucket", "/dev/null"],
    "KLAVIYO_PROGRESS": ["bars"],
    "KLAVIYO_TRANSFERS_DIR": ["md:x", "/dev/null"],
    "KLAVIYO_AUTOMATION": ["maybe"],
    "KLAVIYO_ALERT_WEBHOOK": [
        f"hooks.slack.com/{SECRET}",
        f"https://hooks.slack.com/{SECRET} x",
        f"http://hooks.slack.com/{SECRET}",
        f"https://me:{SECRET}@hooks.slack.com/",
    ],
    "KLAVIYO_ALERT_JSON_WEBHOOK": [f"http://alerts.example.com/{SECRET}"],
    "KLAVIYO_ALERT_MAIL_TO": ["team", "a@b@c", "me@shop.example,", "me@shop.example\nBcc: x@y.example"],
    "KLAVIYO_ALERT_MAIL_FROM": ["Data team <me@shop.example>"],
    "KLAVIYO_SMTP_SERVER": ["mail.example.com", "mail.example.com:0", "mail.example.com:99999", "smtp://mail:25"],
    "KLAVIYO_SMTP_SECURITY": ["ssl"],
    "KLAVIYO_SMTP_USER": ["a\nb"],
    "KLAVIYO_SMTP_PASSWORD": [f"x\t{SECRET}"[::-1]],
    "KLAVIYO_REPORT": ["s3://bucket/x", "/"],
    "KLAVIYO_REPORT_URL": ["reports.example.com"],
    "KLAVIYO_ALLOW_HTTP": ["perhaps"],
    "KLAVIYO_PREVIEW_COLUMNS": ["some"],
    "KLAVIYO_PRIVACY": ["anonymous", "{", "[]", "{profiles.id: drop}", "{profiles.emial: drop}", "{email: hash}"],
    "KLAVIYO_PRIVACY_SECRET": ["short"],
    "KLAVIYO_SANDBOX_END": ["yesterday"],
    "KLAVIYO_DAGSTER_URL": ["localhost:3000"],
    "KLAVIYO_OWNERS": ["data-platform", "team:", "team:a b", "a@b", "team:data,,b@shop.example", "me@shop.example;x"],
}


def refusal(call: Callable[[], object]) -> str:
    """How a call refuses what it is given; blank if it does not."""
    try:
        call()
    except (ConfigurationError, TableNameError) as error:
        return str(error)
    return ""


def test_every_variable_has_a_grammar_here() -> None:
    assert set(WRONG) == {variable.name for variable in environment.VARIABLES}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in WRONG.items() for text in texts])
def test_a_wrong_value_stops_definitions_with_one_sentence(
    place: Workplace, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv(name, text)

    with pytest.raises(ConfigurationError) as caught:
        definitions()

    assert str(caught.value).startswith(f"{name} ")
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_check_reports_each_wrong_variable_and_goes_through_the_rest(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, texts in WRONG.items():
        monkeypatch.setenv(name, texts[0])
    place.write("daily", "source: lists")

    findings = {each["what"]: each for each in place.json("check", exit_code=1)}

    assert all(not findings[name]["ok"] and findings[name]["text"].startswith(name) for name in WRONG)
    assert SECRET not in str(findings)


def test_dagster_says_which_variable_is_wrong_when_it_loads_the_code(tmp_path: Path) -> None:
    program = "import klaviyo_pipeline.definitions"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PATH": "/usr/bin", "KLAVIYO_PARTITION_START": "20240101", "KLAVIYO_AUTOMATION": "maybe"},
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stderr.strip().splitlines()[-2:]
    assert "KLAVIYO_PARTITION_START is '20240101', but must be a day written YYYY-MM-DD." in last[0]
    assert last[1] == "KLAVIYO_AUTOMATION is 'maybe', but must be on or off."


ADDRESSES = st.builds(
    "{}://{}{}{}{}".format,
    st.sampled_from(["http", "https", "HTTPS", "Http", "ftp"]),
    st.sampled_from(["", "me@", "me:pw@", "@"]),
    st.sampled_from(
        ["host", "HOST.example", "127.0.0.1", "localhost", "[::1]", "[fe80::1%25eth0]", "ho st", "h\\x", ""]
    ),
    st.sampled_from(["", ":", ":0", ":8765", ":65536", ":x"]),
    st.sampled_from(["", "/", "/klaviyo/", "/a?b=1", "/a#b", "/a b", "/%41", "/a;b", "//x"]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], parent=examples(100))
@given(text=ADDRESSES, allowed=st.sampled_from(["", "1"]))
def test_an_address_that_is_accepted_is_taken_by_the_client_and_by_the_webhook(text: str, allowed: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for variable in (environment.BASE_URL, environment.ALERT_WEBHOOK):
            patch.setenv(variable.name, text)
        patch.setenv("KLAVIYO_ALLOW_HTTP", allowed)
        patch.setattr(webhook, "_opener", lambda **_how: Taken())
        patch.setattr(redaction, "_known", {})
        if not refusal(lambda: environment.BASE_URL.value):
            KlaviyoClient(SECRET, base_url=environment.BASE_URL.value, allow_http=environment.allow_http())
        if not refusal(lambda: environment.ALERT_WEBHOOK.value):
            with pytest.raises(TakenError):
                webhook.post(environment.ALERT_WEBHOOK.value, {}, allow_http=environment.allow_http())


class TakenError(Exception):
    """The webhook would be sent now."""


class Taken:
    """An opener that sends nothing."""

    def open(self, request: Any, timeout: float) -> None:
        assert request.host
        raise TakenError


@examples(30)
@given(start=st.dates(date(1999, 1, 1), date(2101, 1, 1)), zone=st.sampled_from(sorted(zoneinfo.available_timezones())))
def test_a_start_and_a_zone_that_are_accepted_make_partitions(start: date, zone: str) -> None:
    try:
        partitions = daily_partitions(start.isoformat(), zone)
    except ConfigurationError:
        assert "/" not in zone or not grammar.FIRST_DAY <= start <= grammar.LAST_DAY
        return
    later = datetime.combine(start, datetime.min.time(), UTC) + timedelta(days=3)
    keys = partitions.get_partition_keys(current_time=later)
    assert keys[:2] == [start.isoformat(), (start + timedelta(days=1)).isoformat()]
    window = partitions.time_window_for_partition_key(keys[1])
    assert timedelta(hours=20) <= window.end.astimezone(UTC) - window.start.astimezone(UTC) <= timedelta(hours=28)


NAMES = st.one_of(
    st.text(max_size=8),
    st.text("{}.\"'; -%$?\\/aÄé\u200b\n", max_size=6),
    st.sampled_from(
        ["information_schema", "pg_catalog", "temp", "main", "system", "klaviyo_pipeline", "x" * 128, "any"]
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], parent=examples(25))
@given(schema=NAMES, table=NAMES)
def test_a_schema_and_a_table_that_are_accepted_are_made_and_read(tmp_path: Path, schema: str, table: str) -> None:
    declared = Table(schema, table, EVENTS.columns, ("id",))
    database = Database(tmp_path / "any.duckdb", lock_timeout_s=5)
    refused = refusal(lambda: (check_schema(schema), check_table(table)))
    assert refusal(lambda: put(database, [event("a")], table=declared)) == refused
    if refused:
        return
    put(database, [event("b")], table=declared)
    assert sorted(read_table(database, schema, table)["id"]) == ["a", "b"]


FILES = st.one_of(
    st.text("ab. '\"%;{}$#&*[]|é日", min_size=1, max_size=12),
    st.integers(240, 260).map("a".__mul__),
    st.sampled_from(["main.duckdb", "temp", "memory.db", "system", "select", "-x", "...", ".duckdb", "d/e/f", "x.csv"]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], parent=examples(40))
@given(name=FILES)
def test_a_file_that_is_accepted_becomes_a_database(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    text = str(tmp_path_factory.mktemp("named") / name.strip())
    if refusal(lambda: grammar.file(text, "x")):
        return
    database = Database(grammar.file(text, "x"), lock_timeout_s=5)
    put(database, [event("a")])
    assert list(read_table(database, "klaviyo", "events")["id"]) == ["a"]


AMOUNTS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["-1", "0", "63", "64", "0.1", "1.5", "300", "1e3", "nan", "999999", "banana", ""]),
    st.sampled_from(["", " ", "  "]),
    st.sampled_from(["MB", "mb", "GB", "MiB", "GiB", "KB", "%", "", "B", "MB;"]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], parent=examples(40))
@given(amount=AMOUNTS)
def test_an_amount_of_memory_that_is_accepted_is_taken_by_duckdb(tmp_path: Path, amount: str) -> None:
    if refused := refusal(lambda: grammar.memory(amount, "memory_limit")):
        if amount:
            with pytest.raises(ValueError, match="memory_limit is") as caught:
                KlaviyoDuckDBResource(memory_limit=amount)
            assert refused in str(caught.value)
        return
    given_limit = KlaviyoDuckDBResource(database=str(tmp_path / "x.duckdb"), memory_limit=amount).warehouse()
    put(given_limit, [event("a")])


@examples(40)
@given(days=st.floats() | st.integers(-5, 10**9), seconds=st.integers(0, 10**9))
def test_a_lookback_that_is_accepted_gives_a_window(days: float, seconds: int) -> None:
    now = datetime(2026, 11, 1, tzinfo=UTC)
    asked = LoadRequest(source=SOURCES["events"], options=frozenset(), lookback_days=days)
    last_end = now - timedelta(seconds=seconds)
    refused = refusal(lambda: parse_lookback(days))
    assert refusal(lambda: window_of(asked, partition=None, last_end=last_end, zone=UTC, now=now)) == refused
    if refused:
        return
    length = parse_lookback(days)
    window = window_of(asked, partition=None, last_end=last_end, zone=UTC, now=now)
    assert window is not None
    assert window.start is not None
    assert last_end - length - timedelta(seconds=1) <= window.start <= last_end - length


@pytest.mark.parametrize("days", [float("nan"), float("inf"), 1e9, -1, LONGEST_LOOKBACK_DAYS + 1])
def test_run_config_refuses_a_lookback_that_no_run_can_use(days: float) -> None:
    with pytest.raises((ValueError, dg.DagsterInvalidConfigError), match="lookback_days is"):
        config_class("events")(lookback_days=days)


@pytest.mark.parametrize(
    ("given_config", "said"),
    [({"table": "a{b}"}, "table is 'a{b}'"), ({"schema_name": "information_schema"}, "schema_name is")],
)
def test_run_config_refuses_a_name_that_no_table_can_have(given_config: dict[str, str], said: str) -> None:
    with pytest.raises((ValueError, dg.DagsterInvalidConfigError), match=said):
        config_class("events")(**given_config)


def test_every_boundary_of_a_switch_is_one_of_two_words() -> None:
    found = {grammar.switch(text, "x") for text in itertools.chain(["ON", "1", "Yes"], ["true"])}
    assert found == {"on"}
    assert grammar.switch("No", "x") == "off"


@pytest.mark.parametrize("address", [f"http://store:9000/{SECRET}", f"https://me:{SECRET}@store", "store:9000"])
def test_address_of_an_object_store_that_shows_rows_or_keys_on_the_way_is_refused(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KLAVIYO_ALLOW_HTTP", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-tests")
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    with pytest.raises(ConfigurationError, match="AWS_ENDPOINT_URL") as refused:
        environment.object_store()
    assert SECRET not in str(refused.value)
    for allowed in ("http://127.0.0.1:9000", "https://store:9000"):
        monkeypatch.setenv("AWS_ENDPOINT_URL", allowed)
        store = environment.object_store()
        assert store is not None
        assert store.endpoint == allowed
