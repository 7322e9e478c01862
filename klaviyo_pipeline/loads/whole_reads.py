"""Was that all? What a whole read can be held against before it lands: whose table it is, and Klaviyo's own word.

The table itself is the third witness; see `klaviyo_pipeline.warehouse.shrinking`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from klaviyo_pipeline.klaviyo.endpoints.list_counts import list_exists, profile_count
from klaviyo_pipeline.klaviyo.errors import IncompleteError, KlaviyoError, UnavailableError
from klaviyo_pipeline.warehouse import ownership
from klaviyo_pipeline.warehouse.ownership import Owner
from klaviyo_pipeline.warehouse.tables import DELETED_AT, Table, existing_columns, full_name
from klaviyo_pipeline.warehouse.write_modes import WriteMode

if TYPE_CHECKING:
    from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
    from klaviyo_pipeline.klaviyo.endpoints.account import Account
    from klaviyo_pipeline.klaviyo.extract.extract import StagedExtract
    from klaviyo_pipeline.warehouse.database import Database
    from klaviyo_pipeline.warehouse.shrinking import ShrinkLimits

COUNTED_LISTS = 5
"""So many new lists of a run are held against Klaviyo's count: it takes a second each."""
_CONSENT = "Nothing was landed. Run it again later; if it is right all the same, consent with accept_shrink."


def owner_of(
    client: KlaviyoClient,
    database: Database,
    data_source: str,
    table: Table,
    mode: WriteMode,
    ask: Callable[[KlaviyoClient], Account],
) -> Owner:
    """Whose rows a load brings, once it is sure that the table takes them.

    The account's public id is asked for once for each key and database; the ledger remembers it. A key without the
    scope accounts:read stays without an id: it is not held against the table's other accounts. If Klaviyo does not
    answer, the next run asks again.

    Args:
        client: The account.
        database: The database that the rows go to.
        data_source: The data source's name in the catalogue.
        table: The table that the rows go to.
        mode: What the load does with rows that are there.
        ask: Asks Klaviyo for the account.

    Raises:
        OwnerError: if the table has rows of another data source or account.
        UnavailableError: if Klaviyo does not say whose the key is, and the table has rows of a known account.
    """
    known, account, found = False, None, ownership.History()
    if database.file.exists():
        with database.reading() as con:
            known, account = ownership.known_account(con, client.account)
            found = ownership.history(con, table)
    ownership.refuse_strangers(found, table, mode, Owner(data_source))
    key: str | None = client.account
    if not known:
        try:
            account = ask(client).id
        except UnavailableError:
            if found.accounts and mode is not WriteMode.APPEND:
                raise
            key = None  # so that the next run asks again
        except KlaviyoError:
            account = None
    owner = Owner(data_source, account, key)
    ownership.refuse_strangers(found, table, mode, owner)
    return owner


def gone_lists(
    client: KlaviyoClient,
    staged: StagedExtract,
    here: dict[str, int],
    limits: ShrinkLimits | None,
    say: Callable[[str], None],
) -> tuple[str, ...]:
    """The lists that are known to be deleted, so that their members may go, after a read of members.

    Args:
        client: The account.
        staged: A whole read of the members of lists.
        here: The lists that have living members in the table, and how many.
        limits: How much may be missing; None if a person has consented to anything.
        say: Logs a warning.

    Raises:
        IncompleteError: A list exists that was not among the lists, or has far fewer members than Klaviyo counts.
    """
    read = staged.rows_by_stream
    gone = set(staged.findings.vanished)
    if limits is None:
        return tuple(sorted(gone))
    if staged.request.ids is None:
        for each in sorted(here.keys() - read.keys() - gone):
            if list_exists(client, each):
                raise IncompleteError(
                    f"Klaviyo's answer of all lists ({len(read)}) does not have the list {each!r}, which exists and "
                    f"has {here[each]:,} members here: it was not whole. {_CONSENT}"
                )
            gone.add(each)
    if gone:
        say(f"Lists that Klaviyo has no more: {', '.join(sorted(gone))}. Their members count as gone.")
    new = sorted((each for each in read if each not in here), key=lambda each: (read[each], each))
    for each in new[:COUNTED_LISTS]:
        _hold_against_count(client, each, read[each], limits)
    return tuple(sorted(gone))


def _hold_against_count(client: KlaviyoClient, list_id: str, rows: int, limits: ShrinkLimits) -> None:
    """Members come and go while they are read, so only a big shortfall counts."""
    try:
        count = profile_count(client, list_id)
    except KlaviyoError:
        return  # It is a second opinion, not a condition.
    missing = (count or 0) - rows
    if count and missing > limits.rows and missing > limits.share * count:
        raise IncompleteError(
            f"The read of list {list_id!r} has {rows:,} members, but Klaviyo counts {count:,}: it was not whole. "
            f"{_CONSENT}"
        )


def living_members(database: Database, schema: str, table: str) -> dict[str, int]:
    """How many members that are not marked deleted each list has in a table of list members; empty without one."""
    if not database.file.exists():
        return {}
    with database.reading() as con:
        columns = {column.name for column in existing_columns(con, schema, table)}
        if not columns:
            return {}
        live = f"WHERE {DELETED_AT} IS NULL" if DELETED_AT in columns else ""
        rows = con.execute(
            f"SELECT list_id, count(DISTINCT profile_id) FROM {full_name(con, schema, table)} {live} GROUP BY 1"
        ).fetchall()
    return dict(rows)
