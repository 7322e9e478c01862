"""A build that goes by what changed gives the rows of a build from nothing, whatever happened to the loaded tables."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_pipeline.analytics import building
from klaviyo_pipeline.analytics.building import Built, build
from klaviyo_pipeline.analytics.kept import kept_folder
from klaviyo_pipeline.analytics.more_tables import ALL
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.loads.table import table_of
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.landing import LandRequest, Sweep, land
from klaviyo_pipeline.warehouse.write_modes import WriteMode
from klaviyo_pipeline_tests.analytics.conftest import COPENHAGEN, event
from klaviyo_pipeline_tests.made_once import made_once
from klaviyo_pipeline_tests.soaking import examples

NAMES = ("Placed Order", "Refunded Order", "Opened Email", "Received Email", "Viewed Product", None)
TIMES = [
    datetime(2026, 10, 24, 21, 59, tzinfo=UTC) + timedelta(hours=13 * number, days=40 * (number // 6))
    for number in range(12)
]
ZONES = (COPENHAGEN, ZoneInfo("Asia/Tokyo"), ZoneInfo("America/St_Johns"))


@dataclass
class Account:
    """A database that rows land in as loads land them."""

    database: Database
    zone: ZoneInfo = COPENHAGEN
    loads: int = field(default=0)

    def land(self, source: str, rows: list[dict[str, Any]], mode: str = "merge", **options: Any) -> None:
        """Land rows of a data source; columns that are left out are null."""
        table = table_of(
            SOURCES[source], "klaviyo", None, frozenset({"attributions"} & {*SOURCES[source].option_names})
        )
        names = [column.name for column in table.columns]
        given = pa.table({name: pa.array([row.get(name) for row in rows], pa.string()) for name in names})
        self.loads += 1
        land(
            self.database,
            LandRequest(table, given, WriteMode(mode), source, f"r{self.loads}", f"x{self.loads}", **options),
        )

    def build(self, name: str) -> Built:
        return build(self.database, ALL[name], "klaviyo", self.zone)

    def rows(self, name: str) -> list[tuple[Any, ...]]:
        with self.database.reading() as con:
            return con.execute(f"FROM klaviyo_analytics.{name} ORDER BY ALL").fetchall()

    def from_nothing(self, name: str) -> list[tuple[Any, ...]]:
        """The rows that a build without anything kept gives."""
        with tempfile.TemporaryDirectory() as folder:
            copy = Account(Database(shutil.copy(self.database.file, Path(folder) / "copy.duckdb")), self.zone)
            with copy.database.writing() as con:
                con.execute(f"DROP TABLE IF EXISTS klaviyo_analytics.{name}")
            copy.build(name)
            return copy.rows(name)


def filled(folder: Path) -> Account:
    """An account with a row in every table that analytics need."""
    account = Account(Database(folder / "warehouse.duckdb"))
    account.land("metrics", [{"id": f"m{number}", "name": name} for number, name in enumerate(NAMES)])
    account.land("profiles", [{"id": "p1", "created": "2026-10-01T00:00:00Z"}])
    account.land("campaigns", [{"id": "c1", "status": "Sent", "message_id": "c1m", "send_time": str(TIMES[0])}])
    account.land("lists", [{"id": "l1", "name": "News"}])
    account.land("list_profiles", [member("p1", TIMES[0])])
    account.land("events", [event(0, "m0", str(TIMES[0]), '{"$value": 5, "OrderId": "1"}')])
    account.land("flows", [{"id": "flow", "name": "Welcome", "status": "live"}])
    account.land("segments", [{"id": "s1", "name": "VIP"}])
    account.land("list_counts", [count("list", "l1", TIMES[0], 5)])
    account.land("segment_counts", [count("segment", "s1", TIMES[0], 5)])
    account.land("suppressions", [suppression("p1", "HARD_BOUNCE", TIMES[0])])
    account.land("consents", [consent("p1", "SUBSCRIBED", TIMES[0])])
    account.land("campaign_values", [report("c1", 1)])
    return account


def member(profile: str, joined: datetime) -> dict[str, Any]:
    return {"id": f"l1:{profile}", "list_id": "l1", "profile_id": profile, "joined_group_at": str(joined)}


def count(noun: str, group: str, at: datetime, profiles: int) -> dict[str, Any]:
    return {"id": f"{group}:{at}", f"{noun}_id": group, "observed_at": str(at), "profile_count": str(profiles)}


def suppression(profile: str, reason: str, at: datetime | None) -> dict[str, Any]:
    row = {"id": f"{profile}:email:global:{reason}", "profile_id": profile, "channel": "email", "scope": "global"}
    return {**row, "reason": reason, "suppressed_at": at and str(at)}


def consent(profile: str, said: str, at: datetime) -> dict[str, Any]:
    row = {"id": f"{profile}:email:marketing", "profile_id": profile, "channel": "email", "kind": "marketing"}
    return {**row, "consent": said, "can_receive": str(said == "SUBSCRIBED"), "last_updated": str(at)}


def report(campaign: str, delivered: int) -> dict[str, Any]:
    return {"id": campaign, "campaign_id": campaign, "delivered": str(delivered), "conversion_value": "2.5"}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "analytics-increments", filled) / "warehouse.duckdb"


@pytest.fixture
def account(tmp_path: Path, template: Path) -> Account:
    return Account(Database(shutil.copy(template, tmp_path / "warehouse.duckdb")))


_people = st.sampled_from(["p1", "p2", "p3"])
_times = st.sampled_from(TIMES)
_numbers = st.integers(0, 9)
_tables = st.lists(st.sampled_from([*ALL]), min_size=1, max_size=3, unique=True)
_suppressed = st.tuples(_people, st.sampled_from(["HARD_BOUNCE", "UNSUBSCRIBE"]))
_properties = st.sampled_from(
    [
        *(f'{{"$message": "{each}", "$value": 2.5, "OrderId": "1"}}' for each in ("c1m", "c2m", "c1", "flow")),
        *("{}", '{"$value": 7, "OrderId": "1"}', '{"$value": "much"}', '{"$value": 3}'),
    ]
)
_event = st.builds(
    lambda number, metric, at, properties, person, campaign: event(
        number, f"m{metric}", str(at), properties, profile_id=person, campaign_id=campaign
    ),
    st.integers(0, 9),
    st.integers(0, len(NAMES)),
    _times,
    _properties,
    _people | st.none(),
    st.sampled_from([None, None, "c1", "c2"]),
)
_events = st.lists(_event, max_size=6, unique_by=lambda row: row["id"])
_whole_day = st.builds(lambda at: (at, at + timedelta(days=1)), _times)
_campaign = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["c1", "c2"]),
        "name": st.sampled_from(["Sale", "Autumn"]),
        "status": st.sampled_from(["Sent", "Draft"]),
        "message_id": st.sampled_from(["c1m", "c2m", None]),
        "send_time": _times.map(str),
    }
)
_action = st.one_of(
    st.tuples(st.just("events"), _events),
    st.tuples(st.just("events"), _events),
    st.tuples(st.just("replace_events"), _events),
    st.tuples(st.just("replace_day"), st.tuples(_events, _whole_day)),
    st.tuples(st.just("metrics"), st.tuples(st.integers(0, len(NAMES)), st.sampled_from(NAMES))),
    st.tuples(st.just("campaigns"), st.lists(_campaign, min_size=1, max_size=2, unique_by=lambda row: row["id"])),
    st.tuples(st.just("profiles"), st.tuples(st.sampled_from(["merge", "replace"]), _people, _times)),
    st.tuples(st.just("members"), st.dictionaries(_people, _times, min_size=1)),
    st.tuples(st.just("flows"), st.sampled_from(["flow", "other"])),
    st.tuples(st.sampled_from(["list", "segment"]), st.tuples(st.sampled_from(["l1", "s1", "x1"]), _times, _numbers)),
    st.tuples(st.just("suppressions"), st.dictionaries(_suppressed, _times | st.none(), min_size=1, max_size=3)),
    st.tuples(st.just("consents"), st.tuples(_people, st.sampled_from(["SUBSCRIBED", "UNSUBSCRIBED"]), _times)),
    st.tuples(st.just("reports"), st.tuples(st.sampled_from(["c1", "c2"]), _numbers)),
    st.tuples(st.just("zone"), st.sampled_from(ZONES)),
    st.tuples(st.just("lost"), st.sampled_from([*ALL])),
    st.tuples(st.just("build"), st.sampled_from([*ALL])),
    st.tuples(st.just("build"), st.sampled_from([*ALL])),
)


def _do(account: Account, what: str, given: Any) -> None:
    match what:
        case "events":
            account.land("events", given)
        case "replace_events":
            account.land("events", given, "replace")
        case "replace_day":
            rows, day = given
            account.land("events", rows, "replace", partition_key="datetime", partitions=(day,))
        case "metrics":
            account.land("metrics", [{"id": f"m{given[0]}", "name": given[1]}])
        case "campaigns":
            account.land("campaigns", given)
        case "profiles":
            mode, person, created = given
            account.land("profiles", [{"id": person, "created": str(created)}], mode)
        case "members":
            account.land("list_profiles", [member(*each) for each in given.items()], sweep=Sweep())
        case "flows":
            account.land("flows", [{"id": given, "name": given.title(), "status": "draft"}])
        case "list" | "segment":
            account.land(f"{what}_counts", [count(what, *given)])
        case "suppressions":
            account.land("suppressions", [suppression(*who, at) for who, at in given.items()], sweep=Sweep())
        case "consents":
            account.land("consents", [consent(*given)], sweep=Sweep())
        case "reports":
            account.land("campaign_values", [report(*given)])
        case "zone":
            account.zone = given
        case "lost":
            account.build(given)
            with account.database.writing() as con:
                con.execute(f"DELETE FROM klaviyo_analytics.{given}")
        case "build":
            account.build(given)


@examples(6)
@given(history=st.lists(_action, min_size=2, max_size=6), looked_at=_tables)
def test_building_on_gives_the_rows_of_building_from_nothing_whatever_happened(
    template: Path, history: list[tuple[str, Any]], looked_at: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        account = Account(Database(shutil.copy(template, Path(folder) / "warehouse.duckdb")))
        for name in looked_at:
            account.build(name)
        for what, given in history:
            _do(account, what, given)
        for name in looked_at:
            account.build(name)
            assert account.rows(name) == account.from_nothing(name), name


def test_event_that_moves_to_another_day_and_profile_leaves_both_old_ones(account: Account) -> None:
    for name in ("daily_metrics", "profile_activity"):
        account.build(name)
    account.land("events", [event(0, "m0", str(TIMES[8]), '{"$value": 5}', profile_id="p2")])

    assert account.build("daily_metrics").days == 1
    account.build("profile_activity")

    assert [row[0] for row in account.rows("daily_metrics")] == [TIMES[8].date()]
    assert {row[0]: row[4] for row in account.rows("profile_activity")} == {"p1": 0, "p2": 1}


def test_build_when_nothing_changed_makes_no_day_and_does_not_write(account: Account) -> None:
    first = account.build("campaign_performance")
    written = account.database.file.read_bytes()

    second = account.build("campaign_performance")

    assert (first.days, second.days, second.rows) == (1, 0, first.rows)
    assert account.database.file.read_bytes() == written


def test_build_when_what_was_kept_is_damaged_or_lost_makes_everything_anew(account: Account) -> None:
    account.build("profile_activity")
    before = account.rows("profile_activity")
    (file,) = kept_folder(account.database).glob("*/profile_activity.duckdb")
    file.write_bytes(b"no database")
    assert account.build("profile_activity").days == 2
    shutil.rmtree(kept_folder(account.database))
    assert account.build("profile_activity").days == 2
    assert account.rows("profile_activity") == before


def test_build_that_ends_before_it_is_swapped_in_is_finished_by_the_next(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.build("profile_activity")
    account.land("events", [event(1, "m0", str(TIMES[3]), profile_id="p2")])
    with monkeypatch.context() as patched:
        patched.setattr(building._Making, "_swap_in", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            account.build("profile_activity")

    account.build("profile_activity")

    assert [row[0] for row in account.rows("profile_activity")] == ["p1", "p2"]


def _interrupted(*_args: Any, **_options: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(("table", "loads"), [("daily_metrics", 1), ("profile_activity", 2), ("daily_metrics", 9)])
def test_load_that_lands_during_a_build_is_in_the_table(
    account: Account, monkeypatch: pytest.MonkeyPatch, table: str, loads: int
) -> None:
    """Each load moves an event between days, right after the build has read; the last ones wait for the build."""
    monkeypatch.setattr(building, "CHUNK_ROWS", 1)
    account.land("events", [event(n, "m2", str(TIMES[n]), '{"$message": "c1m"}') for n in range(1, 6)])
    left = iter(range(loads))
    reading = Database.reading

    @contextmanager
    def then_a_load(database: Database) -> Iterator[Any]:
        with reading(database) as con:
            yield con
        if database == account.database and (number := next(left, None)) is not None:
            moved = event(1 + number % 5, "m2", str(TIMES[(number + 3) % 12]), '{"$message": "c1m"}')
            lander = threading.Thread(target=account.land, args=("events", [moved]))
            lander.start()
            lander.join()

    with monkeypatch.context() as patched:
        patched.setattr(Database, "reading", then_a_load)
        account.build(table)

    assert account.rows(table) == account.from_nothing(table)
