"""Transfers for all data sources of an account at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.yaml_files.problems import FileError, Problem

if TYPE_CHECKING:
    from klaviyo_pipeline.transfers.file.reading import TransferFile
    from klaviyo_pipeline.transfers.folder import Folder


@dataclass(frozen=True, kw_only=True)
class WholeAccount:
    """What the transfers of an account have in common.

    Attributes:
        account: The account's name, as transfers know it.
        schema: The schema of their tables, which are named like the data sources.
        mode: The write mode. Data sources whose history a replace would clear are merged.
        database: A DuckDB file or name; blank for the project's.
        schedule: Values of the files' section ``schedule``; empty: a person starts the runs.
    """

    account: str
    schema: str
    mode: str = "merge"
    database: str = ""
    schedule: dict[str, Any]

    def text_of(self, source: str) -> str:
        """The file of one data source."""
        import yaml

        keeps_history = SOURCES[source].observed_at is not None and self.mode.startswith("replace")
        destination = {
            **({"database": self.database} if self.database else {}),
            "schema": self.schema,
            "table": source,
            "mode": "merge" if keeps_history else self.mode,
        }
        data = {"authentication": self.account, "source": source, "destination": destination}
        return yaml.safe_dump(data | ({"schedule": self.schedule} if self.schedule else {}), sort_keys=False)


def create_transfers(folder: Folder, wanted: WholeAccount, sources: Iterable[str]) -> list[TransferFile]:
    """Write a transfer's file for each data source: ``ACCOUNT_SOURCE.yml``.

    Raises:
        FileError: with everything that is wrong. Then no file is written.
    """
    texts = {f"{wanted.account}_{source}": wanted.text_of(source) for source in sources}
    problems = []
    for name, text in texts.items():
        try:
            folder.check_new(name, text, f"{folder.path / name}.yml")
        except ConfigurationError as error:
            problems.append(Problem(0, 0, str(error)))
    if problems:
        raise FileError(str(folder.path), problems)
    return [folder.create(name, text, (), str(Path(f"{name}.yml"))) for name, text in texts.items()]
