"""Checks of a full read before it lands: the owner of the table, and Klaviyo's own counts.

The third check compares with the table itself; see `klaviyo_pipeline.warehouse.shrinking`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from klaviyo_pipeline.klaviyo.catalogue.model import Source
from klaviyo_pipeline.klaviyo.endpoints.parents import count_of_children, parent_exists
from klaviyo_pipeline.klaviyo.errors import IncompleteError, KlaviyoError, UnavailableError
from klaviyo_pipeline.warehouse import ownership
from klaviyo_pipeline.warehouse.ownership import Owner
from klaviyo_pipeline.warehouse.tables import DELETED_AT, Table, existing_columns, full_name
from klaviyo_pipeline.warehouse.write_modes import WriteMode

if TYPE_CHECKING:
    import duckdb

    from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
    from klaviyo_pipeline.klaviyo.endpoints.account import Account
    from klaviyo_pipeline.klaviyo.extract.model import StagedExtract
    from klaviyo_pipeline.loads.known import Known
    from klaviyo_pipeline.warehouse.interface import Warehouse
    from klaviyo_pipeline.warehouse.shrinking import ShrinkLimits

COUNTED_PARENTS = 5
"""So many new parents of a run are held against Klaviyo's count: it takes a second each."""
_CONSENT = "Nothing was landed. Run it again later; if it is right all the same, consent with accept_shrink."


def owner_of(
    client: KlaviyoClient,
    known: Known,
    data_source: str,
    table: Table,
    mode: WriteMode,
    ask: Callable[[KlaviyoClient], Account],
) -> Owner:
    """The owner of a load's rows, after a check that the table takes them.

    Asks Klaviyo for the account's public id once for each key and database; the ledger keeps it. A key without the
    scope accounts:read has no id, and is not compared with other accounts of the table. If Klaviyo does not answer, the
    next run asks again.

    Args:
        client: The account.
        known: What the database says of the load.
        data_source: The data source's name in the catalogue.
        table: The table that the rows go to.
        mode: The write mode.
        ask: Asks Klaviyo for the account.

    Raises:
        OwnerError: if the table has rows of another data source or account.
        UnavailableError: if Klaviyo does not answer, and the table has rows of a known account.
    """
    ownership.refuse_strangers(known.owners, table, mode, Owner(data_source))
    account: str | None = known.account
    key: str | None = client.account
    if not known.has_key:
        try:
            account = ask(client).id
        except UnavailableError:
            if known.owners.accounts and mode is not WriteMode.APPEND:
                raise
            key = None  # so that the next run asks again
        except KlaviyoError:
            account = None
    owner = Owner(data_source, account, key)
    ownership.refuse_strangers(known.owners, table, mode, owner)
    return owner


def gone_parents(
    client: KlaviyoClient,
    staged: StagedExtract,
    here: dict[str, int],
    limits: ShrinkLimits | None,
    say: Callable[[str], object],
) -> tuple[str, ...]:
    """The parents, such as lists, that Klaviyo has deleted, so that their rows may go.

    Args:
        client: The account.
        staged: A full read of a data source that fans out, such as the members of lists.
        here: The number of rows that are not marked deleted in the table, by parent.
        limits: How many rows may be missing; None if a person has consented.
        say: Logs a warning.

    Raises:
        IncompleteError: A parent exists that Klaviyo did not list, or has far fewer rows than Klaviyo counts.
    """
    source, read = staged.source, staged.rows_by_stream
    assert source.fan_out is not None
    noun = source.fan_out.noun
    gone = set(staged.findings.vanished)
    if limits is None:
        return tuple(sorted(gone))
    if staged.request.ids is None:
        for each in sorted(here.keys() - read.keys() - gone):
            if parent_exists(client, source, each):
                raise IncompleteError(
                    f"Klaviyo's answer of all {noun}s ({len(read)}) does not have the {noun} {each!r}, which exists "
                    f"and has {here[each]:,} rows here: it was not whole. {_CONSENT}"
                )
            gone.add(each)
    if gone:
        say(f"Klaviyo no longer has these {noun}s: {', '.join(sorted(gone))}. Their rows count as deleted.")
    new = sorted((each for each in read if each not in here), key=lambda each: (read[each], each))
    for each in new[:COUNTED_PARENTS]:
        _hold_against_count(client, source, each, read[each], limits)
    return tuple(sorted(gone))


def _hold_against_count(client: KlaviyoClient, source: Source, parent_id: str, rows: int, limits: ShrinkLimits) -> None:
    """Children come and go during the read, so only a large difference counts."""
    assert source.fan_out is not None
    try:
        count = count_of_children(client, source, parent_id)
    except KlaviyoError:
        return  # It is a second opinion, not a condition.
    missing = (count or 0) - rows
    if count and missing > limits.rows and missing > limits.share * count:
        raise IncompleteError(
            f"The read of {source.fan_out.noun} {parent_id!r} has {rows:,} rows, but Klaviyo counts {count:,}: it was "
            f"not whole. "
            f"{_CONSENT}"
        )


def living_children(database: Warehouse, source: Source, schema: str, table: str) -> dict[str, int]:
    """The number of rows that are not marked deleted, by parent; empty without a table."""
    with database.reading_if_made() as con:
        return {} if con is None else living_in(con, source, schema, table)


def living_in(con: duckdb.DuckDBPyConnection, source: Source, schema: str, table: str) -> dict[str, int]:
    """As `living_children`, in the caller's session."""
    assert source.fan_out is not None
    columns = {column.name for column in existing_columns(con, schema, table)}
    if not columns:
        return {}
    live = f"WHERE {DELETED_AT} IS NULL" if DELETED_AT in columns else ""
    name = full_name(con, schema, table)
    rows = con.execute(f"SELECT {source.fan_out.id_column}, count(DISTINCT id) FROM {name} {live} GROUP BY 1")
    return dict(rows.fetchall())
