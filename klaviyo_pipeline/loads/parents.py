"""The parents of a data source that fans out, such as lists: from the warehouse while they are fresh there."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from klaviyo_pipeline import clock
from klaviyo_pipeline.loads.whole_reads import living_in
from klaviyo_pipeline.warehouse import ledger
from klaviyo_pipeline.warehouse.sql import quoted_list
from klaviyo_pipeline.warehouse.tables import DELETED_AT, existing_columns, full_name

if TYPE_CHECKING:
    from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
    from klaviyo_pipeline.loads.model import Load, Log


_CLOCK_STEP = timedelta(minutes=1)


def known_parents(load: Load, client: KlaviyoClient, log: Log) -> tuple[str, ...] | None:
    """The ids of all parents, from their table beside the load's; None if Klaviyo is to be asked.

    They are fresh if loads of this key have landed all of the parents up to ``load.fresh_parents`` ago or later. Rows
    of a load that did not land do not count. A table that lacks a parent whose children are here is not believed.

    Raises:
        WarehouseError: if the database cannot be read.
    """
    source, fan_out, place = load.request.source, load.request.source.fan_out, load.place
    by_role = source.report is not None and source.report.role
    if fan_out is None or fan_out.batch is not None or load.request.ids is not None or by_role:
        return None
    if not load.fresh_parents:
        return None
    now, parent = load.now or clock.now(), fan_out.parent
    with place.database.reading_if_made() as con:
        if con is None:
            return None
        spans = ledger.covered_in(con, parent, f"{place.schema}.{parent}", account_key=client.account)
        until = next((end for start, end in spans if start is None), None)
        if until is None or not now - load.fresh_parents <= until <= now + _CLOCK_STEP:
            return None
        columns = {column.name for column in existing_columns(con, place.schema, parent)}
        if not columns.issuperset(fan_out.deciding_columns):
            return None
        asked = quoted_list(fan_out.deciding_columns)
        live = f"WHERE {DELETED_AT} IS NULL" if DELETED_AT in columns else ""
        name = full_name(con, place.schema, parent)
        found = con.execute(f"SELECT DISTINCT ON (id) {asked} FROM {name} {live} ORDER BY id").fetchall()
        here = living_in(con, source, place.schema, place.table) if source.shows_deletions else {}
    parents = [dict(zip(fan_out.deciding_columns, row, strict=True)) for row in found]
    if not here.keys() <= {each["id"] for each in parents}:
        return None
    log.info(f"The {fan_out.noun}s are those of {place.schema}.{parent}, landed until {until.isoformat()}.")
    return tuple(each["id"] for each in parents if fan_out.can_have_children(each))
