"""`copy` as a person types it; warehouse/test_copying.py has what it copies."""

from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline_tests.transfers.workplace import Workplace, place, shop
from klaviyo_pipeline_tests.warehouse.helpers import event, ids, put

__all__ = ["place", "shop"]


def test_copy_when_there_are_rows_then_says_what_it_copied_and_refuses_to_do_it_again(place: Workplace) -> None:
    assert place.cli("copy", "--to", "copy.duckdb", exit_code=1).stderr.startswith("Error: There is no database at")
    put(Database(place.root / "mine.duckdb"), [event("a"), event("b")])

    done = place.cli("copy", "--from", "mine.duckdb", "--to", "copy.duckdb")
    assert "klaviyo.events: 2 rows" in done.stdout
    assert ids(Database(place.root / "copy.duckdb")) == ["a", "b"]

    again = place.cli("copy", "--from", "mine.duckdb", "--to", "copy.duckdb", exit_code=1)
    assert "has tables already" in again.stderr


def test_copy_when_the_destination_is_none_then_says_what_is_allowed(place: Workplace) -> None:
    wrong = place.cli("copy", "--to", "s3://bucket/x.duckdb", exit_code=2)
    assert "ducklake:postgres:" in wrong.stderr
