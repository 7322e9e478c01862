"""What only a lake has: its address, its keys, days as partitions, time travel, and no password in any message."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from klaviyo_pipeline.redaction import redact
from klaviyo_pipeline.warehouse.addresses import (
    AddressError,
    FileAddress,
    LakeAddress,
    MotherDuckAddress,
    parse_address,
    parse_data_path,
)
from klaviyo_pipeline.warehouse.errors import DatabaseFileError, DatabaseMissingError, DatabasePathError
from klaviyo_pipeline.warehouse.lake import Lake
from klaviyo_pipeline.warehouse.opening import warehouse_at
from klaviyo_pipeline_tests.lake import destinations, servers
from klaviyo_pipeline_tests.warehouse.helpers import event, ids, put, query


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("data/klaviyo.duckdb", FileAddress(Path("data/klaviyo.duckdb"))),
        ("ducklake:data/klaviyo.ducklake", LakeAddress(file=Path("data/klaviyo.ducklake"))),
        ("ducklake:postgres:dbname=lake  host = db user=me", LakeAddress(postgres="dbname=lake host=db user=me")),
        ("ducklake:postgres:service=lake", LakeAddress(postgres="service=lake")),
        ("ducklake:postgres://me@db:5433/lake", LakeAddress(postgres="postgresql://me@db:5433/lake")),
        ("ducklake:postgresql://db/lake?sslmode=require", LakeAddress(postgres="postgresql://db/lake?sslmode=require")),
        ("md:klaviyo", MotherDuckAddress("klaviyo")),
    ],
)
def test_address_when_it_names_a_destination_then_is_read(text, found):
    assert parse_address(text, "X") == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "blank"),
        ("s3://bucket/x.duckdb", "scheme s3:"),
        ("postgres:dbname=lake", "scheme postgres:"),
        ("ducklake:", "catalog must follow"),
        ("ducklake:data/klaviyo.duckdb", r"ends in \.ducklake"),
        ("ducklake:sqlite:lake.ducklake", "SQLite"),
        ("ducklake:postgres:", "dbname"),
        ("ducklake:postgres:host=db", "dbname"),
        ("ducklake:postgres:dbname=lake and=more words", "can't be read"),
        ("ducklake:postgres:dbname='a b'", "can't be read"),
        ("ducklake:postgres:dbname=lake host=db;x=1", "can't be read"),
        ("ducklake:postgres:dbname=lake hots=db", "hots="),
        ("ducklake:postgresql://db", "user@host"),
        ("ducklake:postgresql://db:port/lake", "can't be read"),
        ("md:", "name of a database"),
        ("md:klaviyo?motherduck_token=x", "MOTHERDUCK_TOKEN"),
    ],
)
def test_address_when_it_names_none_then_says_what_is_allowed(text, said):
    with pytest.raises(AddressError, match=said):
        parse_address(text, "KLAVIYO_DESTINATION")


@pytest.mark.parametrize(
    "text",
    [
        "ducklake:postgres:dbname=lake password=hunter-the-2nd",
        "ducklake:postgresql://me:hunter-the-2nd@db/lake",
        "ducklake:postgresql://me@db/lake?password=hunter-the-2nd",
    ],
)
def test_address_when_it_has_a_password_then_is_refused_and_no_message_shows_it(text):
    with pytest.raises(AddressError, match="PGPASSWORD") as refused:
        parse_address(text, "KLAVIYO_DESTINATION")
    assert "hunter" not in str(refused.value)
    assert "hunter" not in redact(text)


@pytest.mark.parametrize("text", ["s3:bucket", "s3://", "s3://bucket/a'b", "s3://B/x", "", "gs://bucket"])
def test_data_path_when_it_is_neither_a_folder_nor_a_bucket_then_is_refused(text):
    with pytest.raises(AddressError):
        parse_data_path(text, "KLAVIYO_DATA_PATH")


def test_lake_when_its_data_path_or_keys_are_missing_then_says_which_setting():
    with pytest.raises(DatabasePathError, match="KLAVIYO_DATA_PATH"):
        warehouse_at("ducklake:postgres:dbname=lake")
    with pytest.raises(DatabasePathError, match="AWS_ACCESS_KEY_ID"):
        warehouse_at("ducklake:postgres:dbname=lake", data_path="s3://bucket/")


@pytest.mark.parametrize("kind", destinations.LAKES)
def test_lake_when_nothing_has_landed_then_is_missing(kind, tmp_path):
    lake = destinations.destination(kind, tmp_path)
    assert not lake.exists()
    with pytest.raises(DatabaseMissingError), lake.reading():
        pass


@pytest.mark.parametrize("kind", destinations.LAKES)
def test_events_when_landed_then_their_files_are_divided_by_day_and_the_table_as_it_was_can_be_read(kind, tmp_path):
    lake = destinations.destination(kind, tmp_path)
    put(lake, [event(f"{day}-{n}", day) for day in (1, 2) for n in range(20)], fixed_time="at")
    then = query(lake, "SELECT max(snapshot_id) FROM ducklake_snapshots('lake')")[0][0]
    put(lake, [event("late", 1)], fixed_time="at", extract_id="next")

    files = query(lake, "SELECT data_file FROM ducklake_list_files('lake', 'events', schema => 'klaviyo')")
    assert {"month=1/day=1/" in file or "month=1/day=2/" in file for (file,) in files} == {True}
    assert len(ids(lake)) == 41
    before = query(lake, f"SELECT count(*) FROM klaviyo.events AT (VERSION => {then})")
    assert before == [(40,)]


@pytest.mark.lake
def test_postgres_when_the_password_is_wrong_then_no_message_shows_it(tmp_path, monkeypatch):
    lake = destinations.destination(destinations.POSTGRES, tmp_path)
    wrong = servers.PASSWORD + "-which-is-wrong"
    monkeypatch.setitem(os.environ, "PGPASSWORD", wrong)
    with pytest.raises(DatabaseFileError, match="password authentication failed") as error, lake.writing():
        pass
    assert servers.PASSWORD not in str(error.value)


@pytest.mark.lake
def test_s3_when_its_keys_are_used_then_neither_repr_nor_errors_show_the_secret(tmp_path):
    lake = destinations.destination(destinations.S3, tmp_path)
    assert destinations.SECRET not in repr(lake)
    put(lake, [event(str(n)) for n in range(20)])
    assert isinstance(lake, Lake)
    elsewhere = warehouse_at(lake.name, data_path="s3://no-such-bucket/", store=lake.store)
    with pytest.raises(DatabasePathError, match="KLAVIYO_DATA_PATH") as error, elsewhere.writing():
        pass
    assert destinations.SECRET not in str(error.value)
