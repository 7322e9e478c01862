"""Flow performance, consents, and campaigns beside Klaviyo's report: of data sources that not everybody loads."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from klaviyo_pipeline.analytics.assets import build_analytics_assets
from klaviyo_pipeline.analytics.more_tables import ALL, MORE, tables_of
from klaviyo_pipeline.analytics.tables import TABLES
from klaviyo_pipeline.klaviyo.catalogue.registry import CORE, DEFAULT, SOURCES
from klaviyo_pipeline_tests.analytics.conftest import Loaded, event
from klaviyo_pipeline_tests.orchestration.conftest import FIRST_DAY, LAST_DAY, World, world

__all__ = ["world"]

ORDER, REFUND, _CANCELLED, OPENED, RECEIVED, _VIEWED = (f"m{number}" for number in range(6))
DAY, NEXT = "2026-05-05T12:00:00Z", "2026-05-06T12:00:00Z"


def test_table_is_an_asset_if_all_its_data_sources_are_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(tables_of(CORE)) == list(TABLES)
    assert list(tables_of(DEFAULT)) == [*TABLES, "flow_performance"]
    assert tables_of(SOURCES) == ALL
    monkeypatch.setenv("KLAVIYO_SOURCES", "default, consents, segment_counts")
    names = [asset.key.path[-1] for asset in build_analytics_assets()]
    assert names == [*TABLES, "flow_performance", "consent_overview", "segment_sizes"]


def test_flow_has_its_messages_people_and_orders_by_day_and_a_person_counts_once(loaded: Loaded) -> None:
    of_flow = '{"$flow": "f1", "$message": "x1"}'
    loaded.load("flows", {"id": "f1", "name": "Welcome", "status": "live"})
    loaded.load(
        "events",
        event(1, RECEIVED, DAY, of_flow),
        event(2, RECEIVED, NEXT, of_flow),
        event(3, OPENED, DAY, of_flow),
        event(4, OPENED, NEXT, of_flow),
        event(5, OPENED, NEXT, of_flow, profile_id="p2"),
        event(6, OPENED, DAY, '{"$message": "c1m1"}'),
        event(7, ORDER, DAY, '{"$value": 100, "OrderId": "1"}', flow_id="f1"),
        event(8, REFUND, NEXT, '{"$value": 40, "OrderId": "1"}'),
        event(9, ORDER, NEXT, '{"$value": 5}', flow_id="gone"),
    )
    columns = "flow_id, event_day, flow_name, received, recipients, opens, unique_opens, orders, revenue, net_revenue"
    first = loaded.rows("flow_performance", columns)
    assert first == [
        ("f1", date(2026, 5, 5), "Welcome", 1, 1, 1, 1, 1, Decimal(100), Decimal(60)),
        ("f1", date(2026, 5, 6), "Welcome", 1, 0, 2, 1, 0, 0, 0),
        ("gone", date(2026, 5, 6), None, 0, 0, 0, 0, 1, Decimal(5), Decimal(5)),
    ]
    loaded.load("events", event(10, OPENED, "2026-05-04T12:00:00Z", of_flow, profile_id="p2"))
    again = loaded.rows("flow_performance", "event_day, opens, unique_opens")
    days = [(date(2026, 5, 4), 1, 1), (date(2026, 5, 5), 1, 1), (date(2026, 5, 6), 0, 0), (date(2026, 5, 6), 2, 0)]
    assert again == days, "the person who opened it earlier than was known counts there"


def test_consents_are_counted_by_channel_and_kind_and_those_of_gone_people_are_not(loaded: Loaded) -> None:
    def consent(profile: str, said: str | None, can: bool) -> dict[str, object]:
        row = {"id": f"{profile}:email:marketing", "profile_id": profile, "channel": "email", "kind": "marketing"}
        return {**row, "consent": said, "can_receive": can}

    loaded.load(
        "consents",
        consent("p1", "SUBSCRIBED", True),
        consent("p2", "SUBSCRIBED", False),
        consent("p3", None, False),
        consent("p4", "SUBSCRIBED", True),
    )
    with loaded.database.writing() as con:
        con.execute("ALTER TABLE klaviyo.consents ADD COLUMN _deleted_at TIMESTAMPTZ")
        con.execute("UPDATE klaviyo.consents SET _deleted_at = now() WHERE profile_id = 'p4'")
    assert loaded.rows("consent_overview", "channel, kind, consent, people, reachable") == [
        ("email", "marketing", "SUBSCRIBED", 2, 1),
        ("email", "marketing", "unknown", 1, 0),
    ]


def test_campaign_stands_beside_its_report_also_if_one_of_them_lacks_it(loaded: Loaded) -> None:
    loaded.load("campaigns", {"id": "c2", "name": "Silent", "status": "Sent", "send_time": DAY, "message_id": "c2m1"})
    loaded.load(
        "events",
        event(1, RECEIVED, DAY, '{"$message": "c1m1"}'),
        event(2, OPENED, DAY, '{"$message": "c1m1"}'),
        event(3, ORDER, DAY, '{"$value": 7}', campaign_id="c1"),
    )
    report = {"delivered": 1.0, "opens_unique": 2.0, "conversions": 1.0, "conversion_value": 7.0}
    loaded.load(
        "campaign_values",
        {"id": "r1", "campaign_id": "c1", "variation": "a", **report},
        {"id": "r2", "campaign_id": "c1", "variation": "b", **report},
        {"id": "r3", "campaign_id": "c9", **report},
    )
    columns = "campaign_id, campaign_name, recipients, reported_recipients, unique_opens, reported_unique_opens"
    assert loaded.rows("campaign_comparison", f"{columns}, orders, reported_orders, revenue, reported_revenue") == [
        ("c1", "Sale", 1, 2, 1, 4, 1, 2, Decimal(7), Decimal(14)),
        ("c2", "Silent", 0, None, 0, None, 0, None, 0, None),
        ("c9", None, 0, 1, 0, 2, 0, 1, 0, Decimal(7)),
    ]


def test_tables_are_made_in_a_run_of_the_shop_and_are_those_of_its_events(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_SOURCES", "default, consents, campaign_values")
    made = tuple(asset for asset in build_analytics_assets() if asset.key.path[-1] in MORE)
    names = {name for asset in made for name in MORE[asset.key.path[-1]].made_from}
    sources = sorted(names - {"consents"})
    loaded = world.run("profiles", *sources, days=(FIRST_DAY, LAST_DAY), extra_assets=made)
    assert loaded.success
    received = {
        row[0]: row[1]
        for row in world.sql(
            "SELECT json_extract_string(event_properties, '$.\"$flow\"') AS flow, count(*) FROM klaviyo.events "
            "JOIN klaviyo.metrics ON metrics.id = metric_id WHERE flow IS NOT NULL "
            "AND metrics.name IN ('Received Email', 'Received Text Message', 'Received Push') GROUP BY 1"
        )
    }
    counted = dict(world.sql("SELECT flow_id, sum(received) FROM klaviyo_analytics.flow_performance GROUP BY 1"))
    assert {flow: number for flow, number in counted.items() if number} == received != {}
    assert world.sql("SELECT sum(people) FROM klaviyo_analytics.consent_overview") == world.sql(
        "SELECT count(*) FROM klaviyo.consents"
    )
    reported = "SELECT count(*) > 0, bool_and(recipients >= 0) FROM klaviyo_analytics.campaign_comparison"
    assert world.sql(f"{reported} WHERE reported_recipients IS NOT NULL") == [(True, True)]
