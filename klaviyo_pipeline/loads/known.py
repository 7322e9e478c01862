"""What a database says of a load before the load reads from Klaviyo, all in one session.

Each session waits for those of other runs and reads the file's catalog anew, so there is one before the fetch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from klaviyo_pipeline.warehouse import ownership
from klaviyo_pipeline.warehouse.errors import DatabaseMissingError
from klaviyo_pipeline.warehouse.ledger import Loads, loads_in
from klaviyo_pipeline.warehouse.ownership import History
from klaviyo_pipeline.warehouse.sandbox_rows import refuse_mixed

if TYPE_CHECKING:
    from klaviyo_pipeline.loads.model import Load


@dataclass(frozen=True)
class Known:
    """What a database says of a load.

    Attributes:
        loads: The loads of its name into its table so far.
        owners: Whose rows the table has.
        has_key: Whether rows of its API key have landed in the database.
        account: Klaviyo's public id of the key's account, if it is known.
    """

    loads: Loads = field(default_factory=lambda: Loads(()))
    owners: History = field(default_factory=History)
    has_key: bool = False
    account: str | None = None


def known_of(load: Load, account_key: str) -> Known:
    """What the load's database says of it; nothing if it does not exist yet.

    Args:
        load: The load.
        account_key: The hash of its API key and address.

    Raises:
        MixedRowsError: The database has the rows of a sandbox and the load's are an account's, or the other way round.
        WarehouseError: The database cannot be read.
    """
    database, table = load.place.database, load.table
    try:
        with database.reading() as con:
            if load.origin is not None:
                refuse_mixed(con, database.file, load.origin)
            has_key, account = ownership.known_account(con, account_key)
            loads = loads_in(con, load.ledger_name, table.plain_name, load.now)
            return Known(loads, ownership.history(con, table), has_key, account)
    except DatabaseMissingError:
        return Known()
