"""`docs/reference/` says what the code says, and nothing in it lacks a description."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from pydantic import BaseModel, Field

from klaviyo_pipeline_tests.docs.documents import ROOT
from reference_docs import __main__ as program
from reference_docs.commands import _command
from reference_docs.markdown import UndocumentedError, described, fields_table, table


def test_reference_is_what_the_code_says() -> None:
    """If this fails: `make docs`, and commit what it wrote."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("KLAVIYO_", "DAGSTER_"))}
    checked = subprocess.run(
        [sys.executable, "-m", "reference_docs", "--check"],
        cwd=ROOT,
        env=plain,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def test_check_when_a_page_differs_or_is_left_over_then_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "FOLDER", tmp_path)
    monkeypatch.setattr(program, "pages", lambda: {"good.md": "as it is\n", "stale.md": "new\n"})
    for name, text in (("good.md", "as it is\n"), ("stale.md", "old\n"), ("gone.md", "nobody writes this\n")):
        (tmp_path / name).write_text(text)
    assert program.main(["--check"]) == 1
    said = capsys.readouterr().err
    assert "stale.md" in said
    assert "gone.md" in said
    assert "good.md" not in said
    assert program.main([]) == 0
    assert (tmp_path / "stale.md").read_text() == "new\n"
    assert not (tmp_path / "gone.md").exists()
    assert program.main(["--check"]) == 0


def test_setting_without_a_description_is_refused() -> None:
    class Settings(BaseModel):
        told: int = Field(default=1, description="What it is for.")
        untold: int = 2

    with pytest.raises(UndocumentedError, match="untold of things"):
        fields_table(Settings, what="things")


def test_command_or_option_without_help_is_refused() -> None:
    silent = click.Command("silent")
    with pytest.raises(UndocumentedError, match="klaviyo-pipeline silent"):
        _command(("silent",), silent)
    half = click.Command("half", help="Does it.", params=[click.Option(["--why"])])
    with pytest.raises(UndocumentedError, match="--why"):
        _command(("half",), half)


def test_description_when_it_spans_lines_then_is_one_line_of_a_table() -> None:
    assert described("One\n    | two.", "x") == "One | two."
    assert table(["a"], [["One | two."]]) == "| a |\n| --- |\n| One \\| two. |\n"
