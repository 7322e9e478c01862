"""People who were erased: keyed hashes of their identifiers, by which later loads leave them out.

The hashes tell nothing without the secret that made them. So a load needs the same secret as long as there are any.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from klaviyo_pipeline.people import Nobody, People, keyed_hash
from klaviyo_pipeline.warehouse.errors import PrivacySecretError, StageDamagedError
from klaviyo_pipeline.warehouse.tables import Column, Table, full_name, has_table, resolve_schema, shape

if TYPE_CHECKING:
    from datetime import datetime

    import duckdb

ERASED = Table(
    "klaviyo_pipeline",
    "erased",
    (
        Column("hash", "VARCHAR", "The keyed hash of an identifier"),
        Column("schema_name", "VARCHAR", "Only rows for this schema are left out; null: rows for any schema"),
        Column("secret_check", "VARCHAR", "Tells the secret of the hash from others"),
        Column("erased_at", "TIMESTAMPTZ", "When the person was erased"),
    ),
    comment="Whom klaviyo-pipeline erase has removed, as keyed hashes: their rows do not land again",
)
_CHECK = "klaviyo_pipeline erased"


def remember(
    con: duckdb.DuckDBPyConnection, secret: bytes, tokens: Iterable[tuple[str, str | None]], at: datetime
) -> None:
    """Remember tokens, each with the schema that it counts for (None: any), within the caller's transaction.

    Raises:
        PrivacySecretError: The secret is not that of earlier hashes.
    """
    shape(con, ERASED, ERASED.columns)
    name = full_name(con, ERASED.schema, ERASED.name)
    _check_secret(con, secret)
    check = keyed_hash(secret, _CHECK)
    rows = sorted({(keyed_hash(secret, token), schema) for token, schema in tokens}, key=str)
    for hashed, schema in rows:
        con.execute(
            f"INSERT INTO {name} SELECT $hash, $schema, $check, $at WHERE NOT EXISTS "
            f"(FROM {name} WHERE hash = $hash AND schema_name IS NOT DISTINCT FROM $schema)",
            {"hash": hashed, "schema": schema, "check": check, "at": at},
        )


def erased_people(con: duckdb.DuckDBPyConnection, schema: str, secret: bytes) -> People:
    """Whom loads into a schema leave out.

    Raises:
        PrivacySecretError: There are such people, and the secret is missing or another one.
    """
    hashes = _hashes(con, schema)
    if not hashes:
        return Nobody()
    _check_secret(con, secret)

    @lru_cache(maxsize=100_000)
    def digest(token: str) -> str:
        return keyed_hash(secret, token)

    return People(hashes, digest)


def check_same(con: duckdb.DuckDBPyConnection, schema: str, fetched: People) -> None:
    """Refuse rows that were fetched before somebody was erased.

    Raises:
        StageDamagedError: They were, and must be fetched again.
    """
    if _hashes(con, schema) != fetched.tokens:
        raise StageDamagedError("People were erased since these rows were fetched, so they are fetched again.")


def _hashes(con: duckdb.DuckDBPyConnection, schema: str) -> frozenset[str]:
    if not has_table(con, ERASED.schema, ERASED.name):
        return frozenset()
    name = full_name(con, ERASED.schema, ERASED.name)
    query = f"SELECT hash FROM {name} WHERE coalesce(schema_name, $schema) = $schema"
    return frozenset(row[0] for row in con.execute(query, {"schema": resolve_schema(con, schema)}).fetchall())


def _check_secret(con: duckdb.DuckDBPyConnection, secret: bytes) -> None:
    if not secret:
        raise PrivacySecretError(
            "People were erased from this database, and KLAVIYO_PRIVACY_SECRET is not set, so they cannot be kept out. "
            "Set the secret with which they were erased."
        )
    name = full_name(con, ERASED.schema, ERASED.name)
    checks = {row[0] for row in con.execute(f"SELECT DISTINCT secret_check FROM {name}").fetchall()}
    if checks - {keyed_hash(secret, _CHECK)}:
        raise PrivacySecretError(
            "People were erased from this database with another KLAVIYO_PRIVACY_SECRET than the present one, so they "
            "cannot be kept out. Set that secret again."
        )
