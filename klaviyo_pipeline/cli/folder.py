"""The folder of transfers, as the commands see it."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from klaviyo_pipeline.transfers.folder import Folder


def transfers_folder() -> Folder:
    """The folder that the environment names; a transfer in it cannot have a name that the project has taken."""
    from klaviyo_pipeline.transfers.folder import Folder

    return Folder(taken=_taken)


def _taken() -> Collection[str]:
    from klaviyo_pipeline.built_in import taken_names

    return taken_names()
