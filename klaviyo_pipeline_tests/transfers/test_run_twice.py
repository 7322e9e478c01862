"""Whatever a transfer's source, mode, window, filter_by and partition_key: its second run leaves the truth as well."""

from __future__ import annotations

import shutil
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from klaviyo_pipeline.transfers.definitions import transfer_definitions
from klaviyo_pipeline.transfers.file.model import MODES
from klaviyo_pipeline.transfers.file.reading import read_text
from klaviyo_pipeline.transfers.folder import Folder
from klaviyo_pipeline.yaml_files.problems import FileError
from klaviyo_pipeline_tests.breadth import broad
from klaviyo_pipeline_tests.core import CORE
from klaviyo_pipeline_tests.transfers.test_matrix import events, expected
from klaviyo_pipeline_tests.transfers.workplace import Workplace, load_file, run_file

__all__ = ["events"]

MIDDLE = "2026-09-18T00:00:00+00:00"
FOLLOWS_EVENTS = {"event_metrics", "event_profiles"}
INCREMENTS = [name for name, source in CORE.items() if source.incremental]
REPLACING = ["replace", "replace_on_new_data"]


def landed(place: Workplace, source: str) -> list[Any]:
    key = "list_id, profile_id" if source == "list_profiles" else "id"
    return [row if len(row) > 1 else row[0] for row in place.sql(f"SELECT {key} FROM klaviyo.rows")]


def transfer(source: str, mode: str, options: dict[str, Any], **destination: Any) -> Any:
    lands = {"table": "rows", "mode": mode, **destination}
    return read_text(yaml.safe_dump({"source": source, "options": options, "destination": lands}), Path("twice.yml"))


@pytest.mark.parametrize(("source", "mode"), broad(product(CORE, MODES)))
def test_second_run_leaves_the_truth(place: Workplace, events: Path, source: str, mode: str) -> None:
    if source in FOLLOWS_EVENTS:
        shutil.copytree(events, place.root / "data")
    file = transfer(source, mode, {})

    for _ in range(2):
        load_file(file)

    rows, whole = landed(place, source), mode == "append" and not CORE[source].incremental
    assert set(rows) == expected(place, source, {})
    assert len(rows) == len(set(rows)) * (2 if whole else 1)


WINDOWS: list[dict[str, Any]] = [
    {"start_time": MIDDLE},
    {"end_time": MIDDLE},
    {"incremental": False},
    {"filter_by": "created"},
    {"filter_by": "created", "start_time": MIDDLE},
]


@pytest.mark.parametrize(
    ("source", "options", "mode", "keyed"), broad(product(INCREMENTS, WINDOWS, REPLACING, (False, True)))
)
def test_second_replace_of_a_window_leaves_the_window(
    place: Workplace, source: str, options: dict[str, Any], mode: str, keyed: bool
) -> None:
    fields = CORE[source].time_fields
    field = next((each for each in fields if each.filter_by == options.get("filter_by")), fields[0])
    file = transfer(source, mode, options, **({"partition_key": field.name} if keyed else {}))

    for _ in range(2):
        load_file(file)

    rows = landed(place, source)
    assert sorted(rows) == sorted(expected(place, source, options))


@pytest.mark.parametrize("mode", REPLACING)
@pytest.mark.parametrize("source", INCREMENTS)
def test_replace_that_clears_the_table_does_not_end_at_its_tick(place: Workplace, source: str, mode: str) -> None:
    place.write(
        "hourly",
        yaml.safe_dump({"source": source, "destination": {"mode": mode}, "schedule": {"cron": "0 * * * *"}}),
    )

    (schedule,) = transfer_definitions(Folder()).schedules or ()

    assert not Folder().get("hourly").transfer.incremental
    assert schedule.name == "hourly_schedule"


@pytest.mark.parametrize("mode", REPLACING)
def test_replace_by_a_time_that_is_not_the_windows_is_refused(mode: str) -> None:
    with pytest.raises(FileError, match="a replace over another column would lose rows"):
        transfer("campaigns", mode, {"filter_by": "created"}, partition_key="updated_at")


@pytest.mark.parametrize("mode", REPLACING)
def test_run_from_a_time_replaces_only_from_there_where_the_partition_key_is_that_time(
    own_place: Workplace, mode: str
) -> None:
    file = transfer("events", mode, {}, partition_key="datetime")
    assert run_file(file).success
    gone = next(row["id"] for row in own_place.truth("events", MIDDLE))
    own_place.sandbox.store.delete("events", gone)

    assert run_file(file, start=MIDDLE).success

    assert sorted(landed(own_place, "events")) == sorted(expected(own_place, "events", {}))


def test_accept_shrink_on_the_command_line_is_consent(own_place: Workplace) -> None:
    own_place.write("mine", "source: lists\ndestination: {table: rows, mode: replace}\n")
    own_place.cli("transfer", "run", "mine", "--quiet")
    before = landed(own_place, "lists")
    for each in before:
        own_place.sandbox.store.delete("lists", each)

    refused = own_place.cli("transfer", "run", "mine", "--quiet", exit_code=1)
    assert f"would clear {len(before)} of the {len(before)} rows" in refused.output
    assert landed(own_place, "lists") == before

    own_place.cli("transfer", "run", "mine", "--quiet", "--accept-shrink")
    assert landed(own_place, "lists") == []
