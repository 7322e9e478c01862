"""Bounds on the time that is sorted by are bisected: a page costs a page, however long the table."""

from itertools import product
from operator import ge, gt, le, lt
from typing import Any

import pytest

from klaviyo_pipeline.sandbox.data.rows import MailingList
from klaviyo_pipeline.sandbox.data.tables import Table
from klaviyo_pipeline.sandbox.data.times import in_micros
from klaviyo_pipeline_tests.sandbox.client import Client

OPERATORS = {"greater-than": gt, "greater-or-equal": ge, "less-than": lt, "less-or-equal": le}


def table(rows: int) -> Table[MailingList]:
    made = [MailingList(f"L{number:04d}", "A list", number // 3, number) for number in range(rows)]
    return Table(made, {"created": lambda row: row.created})


@pytest.mark.parametrize("descending", [False, True])
def test_a_bounded_page_looks_at_no_more_rows_than_it_has(descending: bool) -> None:
    looked_at = []

    def keep(row: MailingList) -> bool:
        looked_at.append(row.id)
        return True

    page = table(3_000).select(
        "created",
        descending=descending,
        size=10,
        bounds=[("greater-than", 500), ("less-than", 800)],
        keep=keep,
    )

    assert [row.created for row in page.rows][:3] == ([799] * 3 if descending else [501] * 3)
    assert len(looked_at) == 11, "ten rows, and one that shows that more follow"


@pytest.mark.parametrize(
    ("path", "field", "collection"),
    [
        ("/api/profiles", "created", "profiles"),
        ("/api/profiles", "updated", "profiles"),
        ("/api/templates", "updated", "templates"),
        ("/api/campaigns", "updated_at", "campaigns"),
        ("/api/campaigns", "scheduled_at", "campaigns"),
    ],
)
@pytest.mark.parametrize("sort", ["", "{field}", "-{field}", "id"])
def test_bounds_at_a_row_find_the_same_rows_in_any_order(
    client: Client, path: str, field: str, collection: str, sort: str
) -> None:
    rows: list[Any] = [row for row in getattr(client.app.store, collection) if getattr(row, field) is not None]
    if collection == "campaigns":
        rows = [row for row in rows if row.channel == "email" and not row.archived]
    rows.sort(key=lambda row: getattr(row, field))
    low, high = getattr(rows[len(rows) // 4], field), getattr(rows[3 * len(rows) // 4], field)
    lower, upper = ("greater-than",), ("less-than",)
    if collection != "profiles":
        lower, upper = (*lower, "greater-or-equal"), (*upper, "less-or-equal")
    for above, below in product(lower, upper):
        conditions = [f"{above}({field},{in_micros(low)[:26]}Z)", f"{below}({field},{in_micros(high)[:26]}Z)"]
        if collection == "campaigns":
            conditions.append("equals(messages.channel,'email')")
        expected = [
            row
            for row in rows
            if OPERATORS[above](getattr(row, field), low) and OPERATORS[below](getattr(row, field), high)
        ]
        assert expected
        order = f"&sort={sort.format(field=field)}" if sort else ""
        size = "10" if collection == "templates" else "30"

        found = client.all_ids(f"{path}?page[size]={size}{order}&filter={','.join(conditions)}")

        assert sorted(found) == sorted(row.id for row in expected)
        if sort == "{field}":
            assert found == [row.id for row in sorted(expected, key=lambda row: (getattr(row, field), row.id))]
