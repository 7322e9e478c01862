"""A transfer that replaces by a column other than the one it reads by is refused before it reads anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from klaviyo_pipeline.klaviyo.catalogue.columns import ColumnType
from klaviyo_pipeline.transfers.file.reading import read_text
from klaviyo_pipeline.yaml_files.problems import FileError
from klaviyo_pipeline_tests.core import CORE

REFUSAL = "a replace over another column would lose rows"


def refusal_of(source: str, options: str, mode: str, key: str) -> str:
    """What the file is refused with; blank where it is taken."""
    text = f"source: {source}\noptions: {{{options}}}\ndestination: {{mode: {mode}, partition_key: {key}}}"
    try:
        read_text(text, Path("transfers/example.yml"), {"default"})
    except FileError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("mode", ["append", "merge", "replace", "replace_on_new_data"])
@pytest.mark.parametrize("name", [name for name, source in CORE.items() if source.incremental])
def test_partition_key_when_it_is_not_the_column_that_rows_are_read_by_then_replacing_is_refused(
    name: str, mode: str
) -> None:
    source = CORE[name]
    times = [column.name for column in source.columns if column.type is ColumnType.TIMESTAMP]
    default, *others = source.time_fields
    chosen = [("", default), *((f"filter_by: {field.filter_by}", field) for field in (others and source.time_fields))]
    for options, field in chosen:
        for key in times:
            refused = refusal_of(name, options, mode, key)
            if mode.startswith("replace") and key != field.name:
                assert f"partition_key is '{key}', but rows are read by {field.name}: {REFUSAL}" in refused
            else:
                assert refused == ""


@pytest.mark.parametrize("mode", ["replace", "replace_on_new_data"])
def test_partition_key_when_all_rows_are_read_then_any_time_is_taken(mode: str) -> None:
    assert refusal_of("lists", "incremental: false", mode, "created") == ""
