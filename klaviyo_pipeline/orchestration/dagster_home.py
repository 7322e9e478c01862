"""DAGSTER_HOME, the folder of Dagster's records. It gets our settings if it has none."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from klaviyo_pipeline.private_files import FOLDER_MODE

if TYPE_CHECKING:
    from collections.abc import Iterator

    import dagster as dg
    from dagster._core.instance.ref import InstanceRef

SETTINGS = Path(__file__).parents[1] / "dagster.yaml"
"""What a new DAGSTER_HOME gets."""
_DEFAULT = ".dagster"
"""The Makefile uses it too."""
_PARTS = ("history", "schedules", "storage")
"""The folders in which Dagster keeps its records."""


def given_home() -> Path | None:
    """The folder of DAGSTER_HOME, created with our settings if it is new; None if it is not set."""
    given = os.environ.get("DAGSTER_HOME", "").strip()
    return _prepared(Path(given)) if given else None


def instance() -> dg.DagsterInstance:
    """The instance of DAGSTER_HOME. Without DAGSTER_HOME, an instance that keeps nothing."""
    import dagster as dg

    return dg.DagsterInstance.get() if given_home() else dg.DagsterInstance.ephemeral()


def kept_instance() -> dg.DagsterInstance:
    """The instance of DAGSTER_HOME, else of ``.dagster`` in this folder, and sets DAGSTER_HOME to it."""
    import dagster as dg

    _ = given_home() or _prepared(Path(_DEFAULT))
    return dg.DagsterInstance.get()


def record_folders(home: Path) -> list[Path]:
    """The folders of Dagster's records, as the ``dagster.yaml`` of a DAGSTER_HOME says. They may lie elsewhere.

    A DAGSTER_HOME is often the folder of a project. The other files in it are not records.
    """
    from dagster._core.instance.ref import InstanceRef

    around = (home.resolve(), Path.cwd())
    found = set[Path]()
    for base in _bases(InstanceRef.from_dir(str(home))):
        shared = any(each.is_relative_to(base) for each in around)
        found |= {base / name for name in _PARTS} if shared else {base}
    inner = {each for each in found if any(outer in each.parents for outer in found)}
    return sorted(each for each in found - inner if each.is_dir())


def _bases(ref: InstanceRef) -> Iterator[Path]:
    parts = (ref.local_artifact_storage_data, ref.compute_logs_data, ref.storage_data)
    for each in (*parts, ref.run_storage_data, ref.event_storage_data, ref.schedule_storage_data):
        given = each.config_dict.get("base_dir") if each is not None else None
        text = os.environ.get(given["env"], "") if isinstance(given, dict) else given
        if text:
            yield Path(text).resolve()


def _prepared(folder: Path) -> Path:
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(FOLDER_MODE, exist_ok=True)
    settings = folder / "dagster.yaml"
    if not settings.exists():
        _put(settings, SETTINGS.read_bytes())
    os.environ["DAGSTER_HOME"] = str(folder)
    return folder


def _put(path: Path, content: bytes) -> None:
    """Write a file so that no other process sees an incomplete one."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as written:
        written.write(content)
    Path(written.name).replace(path)
