"""Finds profiles that Klaviyo no longer has: deleted ones, and those that were merged into others.

No filter shows them. A read of all ids does, without the other attributes: Klaviyo allows 75,000 a minute.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from klaviyo_pipeline import clock
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.endpoints.account import read_account
from klaviyo_pipeline.klaviyo.extract.extract import extract
from klaviyo_pipeline.klaviyo.extract.model import ExtractRequest
from klaviyo_pipeline.klaviyo.windows import Window
from klaviyo_pipeline.loads.known import known_of
from klaviyo_pipeline.loads.model import Load
from klaviyo_pipeline.loads.request import LoadRequest
from klaviyo_pipeline.loads.table import table_of
from klaviyo_pipeline.loads.whole_reads import owner_of
from klaviyo_pipeline.warehouse.marking import Marked, mark_gone
from klaviyo_pipeline.warehouse.write_modes import WriteMode

if TYPE_CHECKING:
    from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
    from klaviyo_pipeline.klaviyo.endpoints.account import Account
    from klaviyo_pipeline.klaviyo.extract.progress import Progress
    from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
    from klaviyo_pipeline.loads.destination import Place
    from klaviyo_pipeline.warehouse.sandbox_rows import Origin
    from klaviyo_pipeline.warehouse.shrinking import ShrinkLimits


def mark_gone_profiles(
    client: KlaviyoClient,
    place: Place,
    area: StagingArea,
    *,
    run_id: str = "",
    origin: Origin | None = None,
    shrink: ShrinkLimits | None = None,
    report: Callable[[Progress], None] = lambda _progress: None,
    ask_account: Callable[[KlaviyoClient], Account] = read_account,
) -> Marked:
    """Read all ids of profiles, and mark rows ``_deleted_at`` that Klaviyo no longer has.

    Args:
        client: The account.
        place: The table of profiles.
        area: Where fetched pages wait.
        run_id: The run, for the ledger; blank for a new id.
        origin: Whether the rows are an account's or a sandbox's.
        shrink: How many rows may be marked without consent; None for any number.
        report: Told how far the read is.
        ask_account: Asks Klaviyo for the account, where the ledger does not know whose the key is.

    Raises:
        OwnerError: The table has rows of another account.
        ShrinkError: So many rows would be marked that it takes consent. Nothing changed.
        KlaviyoError, WarehouseError: Klaviyo or the database cannot be read. Nothing changed.
    """
    source, began = SOURCES["profiles"], clock.now()
    load = Load(request=LoadRequest(source=source, options=source.choose()), place=place, origin=origin)
    table = table_of(source, place.schema, place.table)
    owner = owner_of(client, known_of(load, client.account), source.name, table, WriteMode.MERGE, ask_account)
    columns = tuple(column for column in source.columns if column.name in ("id", "created"))
    ids = replace(source, columns=columns, fields=("created",), options=(), includes=(), staged=())
    staged = extract(client, ExtractRequest(ids, Window(None, None, began)), area, report, anew=True)
    try:
        batches = (batch.select(["id"]) for batch in staged.batches())
        reader = pa.RecordBatchReader.from_batches(pa.schema([("id", pa.string())]), batches)
        return mark_gone(
            place.database,
            table,
            reader,
            began,
            owner=owner,
            run_id=run_id or uuid.uuid4().hex,
            origin=origin,
            shrink=shrink,
        )
    finally:
        staged.landed()
