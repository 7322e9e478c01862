"""The documents name commands, keys and files that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from klaviyo_pipeline.cli import main
from klaviyo_pipeline.transfers.file.model import DestinationSettings, ScheduleSettings
from klaviyo_pipeline.transfers.file.reading import read_text
from klaviyo_pipeline.transfers.file.treasure_data import IN, OUT
from klaviyo_pipeline_tests.cli.test_commands import ALL

ROOT = Path(__file__).parents[2]
MIGRATING, CI = (ROOT / "docs" / name for name in ("migrating-from-treasure-data.md", "ci.md"))
DOCUMENTS = [MIGRATING, CI, ROOT / "transfers" / "README.md"]
NOT_OF_THEIRS = {"initial_retry_time_wait", "connection_timeout", "read_timeout", "write_timeout"}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_in_a_document_is_one(path: Path) -> None:
    found = re.findall(r"klaviyo-pipeline ([a-z-]+)(?: ([a-z-]+))?", path.read_text())
    assert found
    for first, second in found:
        assert (first,) in ALL or (first, second) in ALL, (first, second)


def test_every_command_of_transfers_is_in_the_migration() -> None:
    text = MIGRATING.read_text()
    for name in main.commands["transfer"].commands:  # type: ignore[attr-defined]
        assert f"transfer {name}" in text or f"`{name} " in text, name


def test_every_key_of_theirs_and_ours_is_in_the_migration() -> None:
    text = MIGRATING.read_text()
    schedule = set(ScheduleSettings.model_fields)
    lands = {field.alias or name for name, field in DestinationSettings.model_fields.items()}
    for key in (set(IN) - NOT_OF_THEIRS) | set(OUT) | schedule | lands:
        if key != "skip_related_object":  # a spelling of another
            assert re.search(rf"\b{key}\b", text), key


def test_yaml_in_documents_is_what_it_says() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", MIGRATING.read_text(), re.DOTALL)
    theirs, ours = (read_text(block, Path("x.yml"), ()) for block in blocks[-2:])
    assert theirs.transfer == ours.transfer
    config, workflow = (yaml.safe_load(each) for each in re.findall(r"```yaml\n(.*?)```", CI.read_text(), re.DOTALL))
    assert list(config["ops"]) == ["transfers__daily_lists"]
    assert set(workflow["jobs"]) == {"check", "load"}
