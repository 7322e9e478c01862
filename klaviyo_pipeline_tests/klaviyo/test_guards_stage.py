"""Whose stage is taken up: the same account's, for the rows of the same load, and never for the ids of parents."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta

import pytest

from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline_tests.klaviyo.support import SHOP_ENDS, Watched, load, truth

Make = Callable[..., KlaviyoClient]


def test_stage_when_of_another_account_then_is_not_taken_up_and_stays_for_its_own(
    make_client: Make, area: StagingArea, watched: Watched
) -> None:
    ours, theirs = make_client(), make_client(key="pk_narrow")
    staged = load(ours, area, "lists", keep=True)
    watched.requests.clear()

    other = load(theirs, area, "lists", keep=True)

    assert other.staged.progress.resumed_rows == 0
    assert other.staged.stage.folder != staged.staged.stage.folder
    assert len(watched.requests) > 0
    watched.requests.clear()
    again = load(ours, area, "lists")
    assert (again.ids, len(watched.requests)) == (staged.ids, 0)


def test_stage_when_of_the_same_key_at_another_address_then_is_not_taken_up(
    make_client: Make, area: StagingArea, watched: Watched
) -> None:
    client = make_client()
    load(client, area, "lists", keep=True)
    elsewhere = make_client(base_url=client.base_url.replace("127.0.0.1", "localhost"))
    watched.requests.clear()
    assert load(elsewhere, area, "lists").staged.progress.resumed_rows == 0
    assert len(watched.requests) > 0


def test_parents_when_a_load_of_them_left_its_stage_then_their_ids_are_read_anew(
    client: KlaviyoClient, area: StagingArea, store: Store, watched: Watched
) -> None:
    left = load(client, area, "lists", keep=True)
    profile = next(iter(store.profiles)).id
    store.put("lists", [{"id": "LATE01", "name": "Made since"}])
    store.add_members("LATE01", {profile: "2026-11-19T00:00:00+00:00"})

    members = load(client, area, "list_profiles")

    assert f"LATE01:{profile}" in members.ids
    assert sorted(members.ids) == truth(store, "list_profiles")
    watched.requests.clear()
    again = load(client, area, "lists")
    assert (again.ids, len(watched.requests)) == (left.ids, 0), "the load of lists still has its stage"


def test_parents_when_a_run_was_stopped_then_the_next_one_asks_for_their_ids_again(
    client: KlaviyoClient, area: StagingArea, store: Store, watched: Watched
) -> None:
    load(client, area, "list_profiles", keep=True)
    store.put("lists", [{"id": "LATE01", "name": "Made since"}])
    profile = next(iter(store.profiles)).id
    store.add_members("LATE01", {profile: "2026-11-19T00:00:00+00:00"})
    watched.requests.clear()

    again = load(client, area, "list_profiles")

    assert again.staged.progress.resumed_rows > 0
    assert f"LATE01:{profile}" in again.ids
    paths = {request.path for request in watched.requests}
    assert {"/api/lists", "/api/lists/LATE01/profiles"} <= paths


def test_slice_when_it_is_done_then_the_disk_had_its_rows_before_and_has_the_line_that_says_so(
    client: KlaviyoClient, area: StagingArea, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[int, int, int]] = []
    really = os.fsync

    def noting(descriptor: int) -> None:
        really(descriptor)
        (lines,) = area.root.glob("*/manifest.jsonl")
        there = os.fstat(descriptor)
        synced.append((there.st_ino, there.st_size, lines.stat().st_size))

    monkeypatch.setattr(os, "fsync", noting)
    staged = load(client, area, "events", SHOP_ENDS - timedelta(days=3), SHOP_ENDS, keep=True).staged.stage

    manifest = staged.folder / "manifest.jsonl"
    text = manifest.read_text()
    files = [staged.folder / each.file for each in staged.slices.values() if each.rows]
    assert files
    for number, each in staged.slices.items():
        if not each.rows:
            continue
        done = text.index(f'{{"done":{number}}}')
        rows = (staged.folder / each.file).stat()
        assert any((file, size) == (rows.st_ino, rows.st_size) and lines <= done for file, size, lines in synced)
        assert any(file == manifest.stat().st_ino and size > done for file, size, _lines in synced)


def test_progress_when_a_stage_is_taken_up_then_its_slices_and_rows_count_as_done(
    client: KlaviyoClient, area: StagingArea, watched: Watched
) -> None:
    window = (SHOP_ENDS - timedelta(days=3), SHOP_ENDS)
    first = load(client, area, "events", *window, keep=True).staged.progress
    watched.requests.clear()

    again = load(client, area, "events", *window).staged.progress

    assert first.slices_done > 1
    assert (again.slices_done, again.slices_waiting, again.fraction) == (first.slices_done, 0, 1.0)
    assert (again.resumed_rows, len(watched.requests)) == (first.rows, 0)
