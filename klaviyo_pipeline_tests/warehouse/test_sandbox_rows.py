"""A database has a sandbox's rows or an account's; what is made from them goes into either."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.errors import MixedRowsError
from klaviyo_pipeline.warehouse.sandbox_rows import Origin, check_apart, remembered_end
from klaviyo_pipeline_tests.warehouse.helpers import digest, event, put, query

END = datetime(2026, 11, 20, 12, tzinfo=UTC)
ACCOUNT, SANDBOX, OTHER = Origin(), Origin(END), Origin(datetime(2026, 11, 21, tzinfo=UTC))
MIXED = [(ACCOUNT, SANDBOX), (SANDBOX, ACCOUNT), (SANDBOX, OTHER)]


@pytest.mark.parametrize(("first", "second"), MIXED)
def test_rows_of_another_origin_are_refused_and_change_nothing(
    database: Database, first: Origin, second: Origin
) -> None:
    put(database, [event("a")], origin=first)
    before = digest(database)

    with pytest.raises(MixedRowsError):
        check_apart(database, second)
    with pytest.raises(MixedRowsError):
        put(database, [event("b")], origin=second)

    assert digest(database) == before
    assert query(database, "SELECT count(*) FROM klaviyo_pipeline.ledger") == [(1,)]


@pytest.mark.parametrize("origin", [ACCOUNT, SANDBOX])
def test_rows_of_the_same_origin_and_rows_made_from_others_land(database: Database, origin: Origin) -> None:
    for number, each in enumerate([origin, None, origin]):
        put(database, [event(f"e{number}")], origin=each)
        check_apart(database, origin)

    assert query(database, "SELECT count(*) FROM klaviyo.events") == [(3,)]


def test_end_of_the_history_is_remembered_only_once_rows_of_the_sandbox_have_landed(database: Database) -> None:
    assert remembered_end(database) is None
    put(database, [event("a")], origin=SANDBOX)
    put(database, [event("b")], origin=SANDBOX)
    assert remembered_end(database) == END
    assert query(database, "SELECT count(*) FROM klaviyo_pipeline.sandbox") == [(1,)]


def test_end_of_the_history_of_an_accounts_database_is_refused(database: Database) -> None:
    put(database, [event("a")], origin=ACCOUNT)
    with pytest.raises(MixedRowsError, match=r"KLAVIYO_DUCKDB_PATH=data/demo\.duckdb"):
        remembered_end(database)
