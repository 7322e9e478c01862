"""The state of a load in its database, read in one session before the fetch.

Each session waits for other runs and reads the catalog of the file again, so one session reads everything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from klaviyo_pipeline import environment
from klaviyo_pipeline.people import Nobody, People
from klaviyo_pipeline.warehouse import ownership
from klaviyo_pipeline.warehouse.erased import erased_people
from klaviyo_pipeline.warehouse.errors import DatabaseMissingError
from klaviyo_pipeline.warehouse.ledger import Loads, loads_in
from klaviyo_pipeline.warehouse.ownership import History
from klaviyo_pipeline.warehouse.sandbox_rows import refuse_mixed

if TYPE_CHECKING:
    from klaviyo_pipeline.loads.destination import Place
    from klaviyo_pipeline.loads.model import Load


@dataclass(frozen=True)
class Known:
    """The state of a load in its database.

    Attributes:
        loads: The loads of its name into its table so far.
        owners: The accounts and data sources of the rows in the table.
        has_key: Whether rows of its API key have landed in the database.
        account: Klaviyo's public id of the key's account, if it is known.
        people: People who were erased from the database, and who must not come back.
    """

    loads: Loads = field(default_factory=lambda: Loads(()))
    owners: History = field(default_factory=History)
    has_key: bool = False
    account: str | None = None
    people: People = field(default_factory=Nobody)


def known_of(load: Load, account_key: str) -> Known:
    """Read the state of a load; without a database the state is empty.

    Args:
        load: The load.
        account_key: The hash of its API key and address.

    Raises:
        MixedRowsError: The database has the rows of a sandbox and the load's are an account's, or the other way round.
        PrivacySecretError: People were erased with a secret that is not set now.
        WarehouseError: The database cannot be read.
    """
    database, table = load.place.database, load.table
    try:
        with database.reading() as con:
            if load.origin is not None:
                refuse_mixed(con, database.name, load.origin)
            has_key, account = ownership.known_account(con, account_key)
            loads = loads_in(con, load.ledger_name, table.plain_name, load.now)
            people = erased_people(con, table.schema, _secret())
            return Known(loads, ownership.history(con, table), has_key, account, people)
    except DatabaseMissingError:
        return Known()


def people_erased(place: Place) -> People:
    """Whom loads to a place leave out.

    Raises:
        PrivacySecretError: People were erased with a secret that is not set now.
        WarehouseError: The database cannot be read.
    """
    try:
        with place.database.reading() as con:
            return erased_people(con, place.schema, _secret())
    except DatabaseMissingError:
        return Nobody()


def _secret() -> bytes:
    return environment.PRIVACY_SECRET.value.encode()
