"""What the sandbox does not show: the rules of money, messages, days and lists, each by a few rows."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from klaviyo_pipeline.analytics.building import build
from klaviyo_pipeline.analytics.metric_roles import role_of
from klaviyo_pipeline.analytics.tables import TABLES
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.errors import TableMissingError
from klaviyo_pipeline.warehouse.tables import existing_columns
from klaviyo_pipeline_tests.analytics.conftest import COPENHAGEN, Loaded, event

ORDER, REFUND, CANCELLED, OPENED, RECEIVED, VIEWED = (f"m{number}" for number in range(6))


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("Refunded Order", "refund"),
        ("Cancelled Order", "refund"),
        ("Canceled Order", "refund"),
        ("Order Partially Refunded", "refund"),
        ("Viewed Refund Policy", None),
        ("Cancelled Subscription", None),
        ("placed order", "order"),
        ("Ordered Product", None),
        ("Received SMS", "received"),
        ("Received Text Message", "received"),
        ("Unsubscribed from List", None),
        ("Unsubscribed from Email Marketing", "unsubscribed"),
        (None, None),
    ],
)
def test_role_of_a_metric_is_known_by_its_name(name: str | None, role: str | None) -> None:
    assert role_of(name) == role


def test_value_is_exact_whether_number_or_text_and_negative_for_refunds_of_either_sign(loaded: Loaded) -> None:
    day = "2026-05-05T12:00:00Z"
    loaded.load(
        "events",
        event(1, ORDER, day, '{"$value": 0.1}'),
        event(2, ORDER, day, '{"$value": "0.2"}'),
        event(3, REFUND, day, '{"$value": 30.1}'),
        event(4, REFUND, day, '{"$value": -0.2}'),
        event(5, VIEWED, day, '{"$value": "much"}'),
        event(6, VIEWED, day, "null"),
    )
    assert loaded.rows("daily_metrics", "metric_id, events, value") == [
        (ORDER, 2, Decimal("0.3000")),
        (REFUND, 2, Decimal("-30.3000")),
        (VIEWED, 2, None),
    ]


def test_order_is_taken_back_once_and_only_where_it_is_known(loaded: Loaded) -> None:
    of_campaign = {"campaign_id": "c1", "campaign_message_id": "c1m1"}
    loaded.load(
        "events",
        event(1, ORDER, "2026-05-05T12:00:00Z", '{"$value": 100, "OrderId": "1"}', **of_campaign),
        event(2, CANCELLED, "2026-05-06T12:00:00Z", '{"$value": 100, "OrderId": "1"}'),
        event(3, REFUND, "2026-05-06T12:00:00Z", '{"$value": 100, "OrderId": "1"}'),
        event(4, ORDER, "2026-05-07T12:00:00Z", '{"$value": 50, "$event_id": "2"}', **of_campaign),
        event(5, REFUND, "2026-05-08T12:00:00Z", '{"$value": 20, "$event_id": "2"}'),
        event(6, REFUND, "2026-05-08T12:00:00Z", '{"$value": 7, "OrderId": "before our time"}'),
        event(7, REFUND, "2026-05-08T12:00:00Z", '{"$value": 3}'),
        event(8, REFUND, "2026-05-08T12:00:00Z", '{"$value": 9, "OrderId": "1"}', profile_id="p2"),
        event(9, ORDER, "2026-05-07T12:00:00Z", '{"$value": 4, "OrderId": "9"}', profile_id=None, **of_campaign),
        event(10, REFUND, "2026-05-08T12:00:00Z", '{"$value": 1, "OrderId": "9"}', profile_id=None),
    )
    assert loaded.rows("campaign_performance", "event_day, orders, revenue, refunded, net_revenue") == [
        (date(2026, 5, 5), 1, 100, -100, 0),
        (date(2026, 5, 7), 2, 54, -21, 33),
    ]
    assert loaded.rows("profile_activity", "profile_id, orders, ordered_value, refunded_value, lifetime_value") == [
        ("p1", 2, 150, -123, 27),
        ("p2", 0, 0, 0, 0),
    ]


def test_reaction_belongs_to_the_campaign_whose_message_or_own_id_it_names_and_a_flows_to_none(loaded: Loaded) -> None:
    messages = '[{"id": "c2m1"}, {"id": "c2m2"}]'
    loaded.load("campaigns", {"id": "c2", "name": "A/B", "status": "Sent", "messages": messages})
    day = "2026-05-05T12:00:00Z"
    loaded.load(
        "events",
        event(1, OPENED, day, '{"$message": "c2m2"}'),
        event(2, OPENED, day, '{"$message": "c2"}'),
        event(3, OPENED, day, '{"$message": "a flow\'s"}', flow_id="f1"),
        event(4, RECEIVED, day, '{"$message": "c1m1"}'),
        event(5, OPENED, "2026-05-06T12:00:00Z", '{"$message": "c2m1"}'),
        event(6, OPENED, "2026-05-06T12:00:00Z", '{"$message": "c2m1"}', profile_id=None),
        event(7, ORDER, day, '{"$value": 1}', campaign_message_id="c2m1"),
    )
    columns = "campaign_id, event_day, received, recipients, opens, unique_opens, orders"
    assert loaded.rows("campaign_performance", columns) == [
        ("c1", date(2026, 5, 5), 1, 1, 0, 0, 0),
        ("c2", date(2026, 5, 5), 0, 0, 2, 1, 1),
        ("c2", date(2026, 5, 6), 0, 0, 2, 0, 0),
    ]


def test_days_begin_where_the_account_is(loaded: Loaded) -> None:
    loaded.load(
        "events",
        event(1, VIEWED, "2026-03-28T22:59:59Z"),
        event(2, VIEWED, "2026-03-28T23:00:00Z"),
        event(3, VIEWED, "2026-03-29T21:59:59Z"),
        event(4, VIEWED, "2026-03-29T22:00:00Z"),
    )
    assert loaded.rows("daily_metrics", "day, events") == [
        (date(2026, 3, 28), 1),
        (date(2026, 3, 29), 2),
        (date(2026, 3, 30), 1),
    ]
    assert loaded.rows("daily_metrics", "day, events", ZoneInfo("Asia/Tokyo")) == [
        (date(2026, 3, 29), 2),
        (date(2026, 3, 30), 2),
    ]


def test_events_loaded_without_attributions_make_the_same_tables_without_orders_of_campaigns(loaded: Loaded) -> None:
    rows = (event(1, ORDER, "2026-05-05T12:00:00Z", '{"$value": 5}'), event(2, OPENED, "2026-05-05T12:00:00Z"))
    loaded.load("events", *rows, options=frozenset())
    assert loaded.rows("campaign_performance") == []
    assert loaded.rows("profile_activity", "profile_id, orders, lifetime_value")[0] == ("p1", 1, 5)


def test_list_growth_counts_who_was_found_gone_and_leaves_no_day_out(loaded: Loaded) -> None:
    loaded.load(
        "list_profiles",
        {"id": "l1:p1", "list_id": "l1", "profile_id": "p1", "joined_group_at": "2026-05-01T12:00:00Z"},
        {"id": "l1:p2", "list_id": "l1", "profile_id": "p2", "joined_group_at": "2026-05-03T12:00:00Z"},
    )
    with loaded.database.writing() as con:
        con.execute("ALTER TABLE klaviyo.list_profiles ADD COLUMN _deleted_at TIMESTAMPTZ")
        con.execute("UPDATE klaviyo.list_profiles SET _deleted_at = '2026-05-04 12:00+00' WHERE profile_id = 'p1'")
    assert loaded.rows("list_growth", "day, list_name, joined, gone, net, members") == [
        (date(2026, 5, 1), "News", 1, 0, 1, 1),
        (date(2026, 5, 2), "News", 0, 0, 0, 1),
        (date(2026, 5, 3), "News", 1, 0, 1, 2),
        (date(2026, 5, 4), "News", 0, 1, -1, 1),
    ]


def test_tables_when_made_again_have_the_same_rows_and_all_their_columns_and_comments(loaded: Loaded) -> None:
    loaded.load("events", event(1, ORDER, "2026-05-05T12:00:00Z", '{"$value": 5}', campaign_id="c1"))
    loaded.load("list_profiles", {"id": "l1:p1", "list_id": "l1", "joined_group_at": "2026-05-01T12:00:00Z"})
    kinds = {"TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE"}
    for name, table in TABLES.items():
        first = loaded.rows(name, f"{name}::VARCHAR")
        assert first
        assert loaded.rows(name, f"{name}::VARCHAR") == first
        with loaded.database.writing() as con:  # a session that only reads does not ask for comments
            columns = existing_columns(con, "klaviyo_analytics", name)
            key = ", ".join(table.key)
            twice = con.execute(f"SELECT {key} FROM klaviyo_analytics.{name} GROUP BY ALL HAVING count(*) > 1")
            assert twice.fetchall() == []
        assert columns == tuple(replace(each, type=kinds.get(each.type, each.type)) for each in table.columns)


@pytest.mark.parametrize("name", TABLES)
def test_table_when_nothing_was_loaded_says_what_to_load(tmp_path: Path, name: str) -> None:
    with pytest.raises(TableMissingError, match="not there yet: materialize klaviyo/"):
        build(Database(tmp_path / "empty.duckdb"), TABLES[name], "klaviyo", ZoneInfo("UTC"))


def test_table_when_making_it_fails_stays_as_it_was(loaded: Loaded) -> None:
    loaded.load("events", event(1, ORDER, "2026-05-05T12:00:00Z", '{"$value": 5}'))
    before = loaded.rows("daily_metrics")
    with loaded.database.writing() as con:
        con.execute("ALTER TABLE klaviyo.events ALTER datetime TYPE VARCHAR")
        con.execute("UPDATE klaviyo.events SET datetime = 'never'")
    with pytest.raises(Exception, match="VARCHAR"):
        build(loaded.database, TABLES["daily_metrics"], "klaviyo", ZoneInfo("UTC"))
    with loaded.database.reading() as con:
        assert con.execute("FROM klaviyo_analytics.daily_metrics").fetchall() == before


def test_tables_in_a_file_that_is_named_like_a_schema(tmp_path: Path) -> None:
    named = Loaded(Database(tmp_path / "klaviyo_analytics.duckdb"))
    named.load("metrics", {"id": ORDER, "name": "Placed Order"})
    named.load("events", event(1, ORDER, "2026-05-05T12:00:00Z", '{"$value": 5}'))
    assert named.rows("daily_metrics", "metric_name, value") == [("Placed Order", 5)]


def test_every_table_is_made_in_a_file_of_duckdbs_default_format(tmp_path: Path) -> None:
    loaded = Loaded(Database(tmp_path / "old.duckdb", storage_version="v1.0.0"))
    loaded.load("metrics", {"id": "m0", "name": "Placed Order"})
    loaded.load("events", event(1, "m0", "2026-10-01T10:00:00Z", '{"$value": 12.5}'))
    for source in ("profiles", "campaigns", "lists"):
        loaded.load(source, {"id": "x"})
    loaded.load("list_profiles", {"list_id": "x", "profile_id": "x"})

    made = {name: loaded.rows(name) for name in TABLES}

    assert len(made["daily_metrics"]) == 1


AMOUNTS = {
    "1234.5": "1234.5",
    "1,234.50": "1234.50",
    "1.234,50": "1234.50",
    "1 234,50": "1234.50",
    "1'234.50": "1234.50",
    "1\u00a0234.50": "1234.50",
    "1,234,567": "1234567",
    "1.234.567": "1234567",
    "$12.00": "12",
    "12.00 USD": "12",
    "USD 12.00": "12",
    "€ 12,50": "12.50",
    "US$ 3": "3",
    "12,50": "12.50",
    "12,5000": "12.50",
    "0,500": "0.500",
    "1234,567": "1234.567",
    "kr 5": "5",
    "-$12.00": "-12",
    "$-12.00": "-12",
    "\u22125": "-5",
    "+5": "5",
    " 12.5 ": "12.5",
    "1e3": "1000",
}
NO_AMOUNTS = [
    *("1,234", "$1.234", "12,345", "1,23,456.00", "1,234.567,89", "NaN", "Infinity", "1e999", "free", "12 apples"),
    *("--5", "$", "٣", "99999999999999999999", {"amount": 5}, [5], True),
]


def test_value_when_its_text_has_one_reading_is_that_amount(loaded: Loaded) -> None:
    day = "2026-05-05T12:00:00Z"
    orders = [event(n, ORDER, day, json.dumps({"$value": text}), profile_id=text) for n, text in enumerate(AMOUNTS)]
    loaded.load("events", *orders)
    found = dict(loaded.rows("profile_activity", "profile_id, ordered_value"))
    assert {text: found[text] for text in AMOUNTS} == {text: Decimal(amount) for text, amount in AMOUNTS.items()}
    assert loaded.rows("daily_metrics", "unreadable_values") == [(0,)]


def test_value_when_it_is_no_amount_or_has_two_readings_is_in_no_sum_and_counted(loaded: Loaded) -> None:
    day = "2026-05-05T12:00:00Z"
    loaded.load("events", *(event(n, ORDER, day, json.dumps({"$value": each})) for n, each in enumerate(NO_AMOUNTS)))
    assert loaded.rows("daily_metrics", "value, unreadable_values") == [(None, len(NO_AMOUNTS))]
    loaded.load("events", event(99, ORDER, day, '{"$value": 5}'))
    built = build(loaded.database, TABLES["daily_metrics"], "klaviyo", COPENHAGEN)
    assert built.unreadable_values == len(NO_AMOUNTS)
    assert loaded.rows("daily_metrics", "value, events") == [(5, len(NO_AMOUNTS) + 1)]


def test_value_when_there_is_none_is_not_counted_as_unreadable(loaded: Loaded) -> None:
    nothing = ["{}", '{"$value": null}', '{"$value": ""}', '{"$value": "  "}', None]
    loaded.load("events", *(event(n, ORDER, "2026-05-05T12:00:00Z", each) for n, each in enumerate(nothing)))
    assert loaded.rows("daily_metrics", "value, events, unreadable_values") == [(None, 5, 0)]
