"""The example of the migration, by the commands, against a sandbox; and the same transfer from Dagster's own."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from klaviyo_pipeline_tests.transfers.workplace import EXAMPLE, Workplace

NAME = "daily_klaviyo_import"


def test_example_is_previewed_created_run_shown_listed_its_history_printed_and_deleted(place: Workplace) -> None:
    Path("config.yml").write_text(EXAMPLE)
    lists = place.truth("lists")

    preview = place.cli("preview", "config.yml")
    header = preview.stdout.splitlines()[1]
    assert header.split() == [
        *("|", "id:string", "|", "name:string", "|", "created:timestamp", "|", "updated:timestamp"),
        *("|", "opt_in_process:string", "|"),
    ]
    assert all(row["id"] in preview.stdout for row in lists)
    assert "in.api_token is a key in plain text" in preview.stderr
    assert place.left() == ["config.yml"]

    created = place.cli("transfer", "create", NAME, "10 0 * * *", "sample_db", "sample_table", "config.yml")
    assert f"asset transfers/{NAME}, job {NAME}, schedule {NAME}_schedule" in created.stdout
    written = yaml.safe_load(Path(f"transfers/{NAME}.yml").read_text())
    assert written["in"] == yaml.safe_load(EXAMPLE)["in"]
    assert written["out"] == {"mode": "append", "database": "sample_db", "table": "sample_table"}

    ran = place.cli("transfer", "run", NAME, "--quiet")
    assert f"{len(lists)} fetched, {len(lists)} inserted" in ran.stdout
    assert place.sql("SELECT count(*) FROM sample_db.sample_table", "data/sample_db.duckdb") == [(len(lists),)]

    shown = place.cli("transfer", "show", NAME).stdout
    for name, value in {
        "Name": NAME,
        "Cron": "10 0 * * *",
        "Timezone": "UTC",
        "Delay": "0",
        "Database": "sample_db",
        "Table": "sample_table",
    }.items():
        assert any(line.split(" : ") == [name.ljust(13), value] for line in shown.splitlines()), (name, shown)
    listed = place.cli("transfer", "list").stdout
    assert f"| {NAME} | 10 0 * * * | UTC      | 0     | sample_db | sample_table | scheduled |" in listed

    history = place.json("transfer", "history", NAME)
    assert len(history) == 1
    (run,) = history
    assert (run["status"], run["rows"], run["inserted"]) == ("success", len(lists), len(lists))
    assert run["run_id"] in ran.stdout
    assert datetime.fromisoformat(run["ended"]) >= datetime.fromisoformat(run["started"])
    assert run["duration_s"] > 0
    assert run["window_start"].startswith("2023-06-01T17:06:39.698883")
    assert run["run_id"] in place.cli("transfer", "history", NAME).stdout

    deleted = place.cli("transfer", "delete", NAME).stdout
    assert "Deleted transfers" in deleted
    assert not Path(f"transfers/{NAME}.yml").exists()
    assert place.json("transfer", "list") == []
    assert place.sql("SELECT count(*) FROM sample_db.sample_table", "data/sample_db.duckdb") == [(len(lists),)]


def test_options_of_create_and_update_are_kept_and_pause_and_resume_hold(place: Workplace) -> None:
    Path("config.yml").write_text("# ours\nsource: events   # all of them\n")
    place.cli(
        *["transfer", "create", "hourly", "@hourly", "shop", "orders", "config.yml", "-t", "Asia/Tokyo", "-D", "30m"]
    )
    made = place.json("transfer", "show", "hourly")
    assert made["schedule"] == {
        "cron": "@hourly",
        "timezone": "Asia/Tokyo",
        "delay": "30m",
        "repeat": True,
        "paused": False,
        "auto_start": True,
    }
    assert datetime.fromisoformat(made["next_run"]).minute == 30
    assert "# all of them" in Path("transfers/hourly.yml").read_text()

    place.cli("transfer", "pause", "hourly")
    paused = place.json("transfer", "show", "hourly")
    assert (paused["status"], paused["next_run"]) == ("paused", None)
    place.cli("transfer", "resume", "hourly")
    place.cli(
        *["transfer", "update", "hourly", "--cron"], "5 4 * * *", *["-D", "90", "--mode", "append", "--table", "sales"]
    )
    changed = place.json("transfer", "show", "hourly")
    assert changed["status"] == "scheduled"
    assert (changed["schedule"]["cron"], changed["schedule"]["delay"]) == ("5 4 * * *", 90)
    assert (changed["destination"]["mode"], changed["destination"]["table"]) == ("append", "sales")
    place.cli("transfer", "update", "hourly", "--no-schedule")
    assert place.json("transfer", "show", "hourly")["status"] == "by hand"

    Path("config.yml").write_text(EXAMPLE)
    place.cli("transfer", "update", "hourly", "config.yml")
    replaced = place.json("transfer", "show", "hourly")
    assert (replaced["source"], replaced["destination"]["table"]) == ("lists", "sales")
    assert "xxx" not in json.dumps(replaced)


def test_create_says_whether_the_schedule_starts_by_itself_and_how_dagster_sees_the_file(place: Workplace) -> None:
    Path("on.yml").write_text("source: lists")
    Path("off.yml").write_text("in: {data_source: lists}\nschedule: {cron: '@daily', auto_start: false}")

    on = place.cli("transfer", "create", "starting", "@daily", "shop", "lists", "on.yml").stdout
    off = place.cli("transfer", "create", "waiting", "@hourly", "shop", "lists", "off.yml").stdout

    assert "Dagster turns the schedule on when it first loads it" in on
    assert "The schedule is off (auto_start: false) until you turn it on in Dagster's UI" in off
    assert all("after a reload of its code location: in the UI, Deployment, Reload" in text for text in (on, off))
    assert "Starts        : by hand, in Dagster's UI" in place.cli("transfer", "show", "waiting").stdout
    Path("off.yml").write_text("source: lists\nschedule: {cron: '@daily', auto_start: later}")
    wrong = place.cli("transfer", "create", "third", "@daily", "shop", "lists", "off.yml", exit_code=2).stderr
    assert "schedule.auto_start is 'later', but must be true or false" in wrong


def test_no_schedule_makes_a_transfer_that_is_run_by_hand(place: Workplace) -> None:
    Path("config.yml").write_text("source: metrics")
    place.cli("transfer", "create", "by_hand", "", "data/own.duckdb", "kinds", "config.yml", "--no-schedule")
    assert place.json("transfer", "list")[0]["status"] == "by hand"
    place.cli("transfer", "run", "by_hand", "-q")
    assert place.sql("SELECT count(*) FROM main.kinds", "data/own.duckdb") == [(len(place.truth("metrics")),)]


def test_run_takes_a_window_and_a_failed_run_is_in_the_history_with_exit_code_1(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write("daily", "source: events\noptions: {incremental: false}")
    outcome = place.json("transfer", "run", "daily", "--from", "2026-09-17", "--to", "2026-09-18")
    assert outcome["success"] is True
    expected = len(place.truth("events", "2026-09-17T00:00:00Z", "2026-09-18T00:00:00Z"))
    assert outcome["rows_inserted"] == expected > 0

    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_wrong")
    failed = place.cli("transfer", "run", "daily", exit_code=1)
    assert "does not accept the API key" in failed.stderr
    assert "Traceback" not in failed.stderr.split("Error:")[-1]
    statuses = [run["status"] for run in place.json("transfer", "history", "daily")]
    assert statuses == ["failure", "success"]


def test_broken_file_is_listed_with_the_reason_and_others_work(place: Workplace) -> None:
    place.write("good", "source: metrics")
    place.write("bad", "source: lists\noptions: {list_ids: [a]}")
    listed = place.cli("transfer", "list")
    assert "| broken " in listed.stdout
    assert "bad.yml:2:11: options.list_ids is not taken" in listed.stderr
    assert [each["status"] for each in place.json("transfer", "list")] == ["broken", "by hand"]
    place.cli("transfer", "run", "good", "-q")


@pytest.mark.long
def test_transfer_is_materialized_by_dagsters_command_line_with_config_from_a_file(place: Workplace) -> None:
    place.write("ci", "source: lists\ndestination: {table: lists}")
    config = {"ops": {"transfers__ci": {"config": {"start_time": "2020-01-01T00:00:00", "write_mode": "replace"}}}}
    Path("config.yaml").write_text(yaml.safe_dump(config))
    select = ["-m", "klaviyo_pipeline.definitions", "--select", "transfers/ci", "-c", "config.yaml"]
    dagster = str(Path(sys.executable).with_name("dagster"))

    done = subprocess.run([dagster, "asset", "materialize", *select], check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert place.sql("SELECT count(*) FROM klaviyo.lists") == [(len(place.truth("lists")),)]
    (run,) = place.json("transfer", "history", "ci")
    assert (run["status"], run["rows"]) == ("success", 4)
