"""DuckDB's extensions: from packages beside the duckdb package, so that nothing is taken from the network at run time.

The packages ``duckdb-extension-<name>`` are built for one version of DuckDB, and pip installs that version with them.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from klaviyo_pipeline.warehouse.errors import ExtensionMissingError
from klaviyo_pipeline.warehouse.sql import literal

if TYPE_CHECKING:
    import duckdb


def load_extensions(con: duckdb.DuckDBPyConnection, names: tuple[str, ...], *, may_install: bool) -> None:
    """Loads extensions into the session's DuckDB: from packages, or those that this user has installed in DuckDB.

    To load the three of a lake takes a second, so sessions take over the DuckDB of the session before.

    Args:
        con: The session.
        names: The extensions, as DuckDB names them.
        may_install: Whether DuckDB may download what is missing.

    Raises:
        ExtensionMissingError: One is neither installed nor may be.
    """
    found = con.execute("SELECT extension_name FROM duckdb_extensions() WHERE loaded").fetchall()
    for name in names:
        if (name,) not in found:
            _load(con, name, may_install=may_install)


def _load(con: duckdb.DuckDBPyConnection, name: str, *, may_install: bool) -> None:
    import duckdb

    packaged = _packaged(name)
    try:
        if packaged is None and may_install:
            con.execute(f"INSTALL {name}")
        con.execute(f"LOAD {literal(str(packaged))}" if packaged else f"LOAD {name}")
    except duckdb.Error as error:
        raise ExtensionMissingError(
            f"DuckDB {duckdb.__version__} can't load its extension {name}. Install the package that carries it, with "
            "the version of DuckDB that it is built for: pip install 'klaviyo-pipeline[ducklake]'. Or set "
            f"KLAVIYO_INSTALL_EXTENSIONS=on, so that DuckDB may download it. DuckDB said: {error}"
        ) from error


def _packaged(name: str) -> Path | None:
    spec = find_spec(f"duckdb_extension_{name}")
    folders = spec.submodule_search_locations if spec else None
    return next((file for folder in folders or () for file in Path(folder).rglob("*.duckdb_extension")), None)
