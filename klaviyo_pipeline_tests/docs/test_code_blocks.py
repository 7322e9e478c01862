"""What documents tell people to type exists: commands, options, targets, keys, imports, columns."""

from __future__ import annotations

import re
from importlib import import_module

import click
import pytest
import yaml
from dagster._cli import create_dagster_cli
from dagster_dg_cli.cli import create_dg_cli

from klaviyo_pipeline.cli import main
from klaviyo_pipeline.orchestration.assets.config import config_class
from klaviyo_pipeline_tests.docs.documents import DOCUMENTS, ROOT, Block, all_blocks, command_lines, name_of, prose
from reference_docs.commands import make_targets

PROGRAMS = {"klaviyo-pipeline": main, "dagster": create_dagster_cli(), "dg": create_dg_cli()}
TARGETS = {name for name, _text in make_targets()}
SHELL = all_blocks("sh", "bash", "")


def check(text: str) -> None:
    """Raise if a command line names a command or an option that does not exist."""
    for words in command_lines(text):
        _check(words)


def _check(words: list[str]) -> None:
    if words and words[0] == "make":
        unknown = [word for word in words[1:] if "=" not in word and word not in TARGETS]
        assert not unknown, f"make has no target {unknown}"
    command: click.Command | None = PROGRAMS.get(words[0].rpartition("/")[2]) if words else None
    if command is None:
        return
    rest = words[1:]
    if words[:3] == ["dg", "scaffold", "defs"]:  # its commands are the components of a project
        if not words[3:]:
            return
        module, _dot, component = words[3].rpartition(".")
        assert hasattr(import_module(module), component), f"{' '.join(words)}: there is no component {words[3]}"
        return
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        named = command.get_command(click.Context(command), rest[0])
        assert named is not None, f"{' '.join(words)}: there is no command {rest[0]}"
        command, rest = named, rest[1:]
    known = {name for each in command.params for name in (*each.opts, *each.secondary_opts)} | {"--help", "-h"}
    for word in rest:
        option = word.partition("=")[0]
        assert not re.match(r"--?[A-Za-z]", option) or option in known, (
            f"{' '.join(words)}: there is no option {option}"
        )


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_commands_in_blocks_exist(block: Block) -> None:
    check(block.text)


def test_the_command_that_dg_supersedes_is_mentioned_once() -> None:
    superseded = re.compile(r"(?<!create-)dagster (asset|dev|definitions|job|project)\b")
    read = [*DOCUMENTS, *(ROOT / name for name in ("Makefile", "compose.yaml", "Dockerfile"))]
    found = {name_of(path): len(superseded.findall(path.read_text())) for path in read if path.name != "CHANGELOG.md"}
    assert {name: times for name, times in found.items() if times} == {"README.md": 1}


def test_commands_in_prose_exist() -> None:
    found = [
        text
        for path in DOCUMENTS
        for text in re.findall(r"`((?:klaviyo-pipeline|dagster|dg|make) [^`]+)`", prose(path))
    ]
    assert len(found) > 20
    for text in found:
        check(re.sub(r"[…\[\]]", "", text))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("klaviyo-pipeline transfer craete x", "no command craete"),
        ("klaviyo-pipeline reconcile --repare", "no option --repare"),
        ("dagster asset materialize --partitions 2026-11-01", "no option --partitions"),
        ("dg launch --assets x --select y", "no option --select"),
        ("make demmo", "no target"),
        ("dg scaffold defs klaviyo_pipeline.KlaviyoComponnent x", "no component"),
        (".venv/bin/klaviyo-pipeline with-sandbox -- klaviyo-pipeline ledger --limitt 3", "no option --limitt"),
    ],
)
def test_command_that_does_not_exist_is_found(line: str, why: str) -> None:
    with pytest.raises(AssertionError, match=why):
        check(line)


@pytest.mark.parametrize("block", all_blocks("yaml"), ids=str)
def test_yaml_is_yaml_and_names_options_that_exist(block: Block) -> None:
    said = yaml.safe_load(block.text)
    for op, given in (said.get("ops") or {}).items() if isinstance(said, dict) else ():
        prefix, _, name = op.partition("__")
        known = (
            set(config_class(name).model_fields) if prefix == "klaviyo" else set(config_class("events").model_fields)
        )
        assert set(given["config"]) <= known, str(block)


@pytest.mark.parametrize("block", all_blocks("python"), ids=str)
def test_python_imports_what_exists(block: Block) -> None:
    code = compile(block.text, str(block), "exec")
    imports = "\n".join(line for line in block.text.splitlines() if line.startswith(("import ", "from ")))
    exec(imports, {})
    assert code


def test_settings_of_the_compose_example_are_variables_that_exist() -> None:
    known = (ROOT / "docs" / "reference" / "configuration.md").read_text()
    for block in all_blocks("yaml", "ini", "dockerfile"):
        for name in re.findall(r"\b((?:KLAVIYO|DAGSTER)_[A-Z_]+)\b", block.text):
            assert name in known or name.endswith("K_API_KEY") or name == "KLAVIYO_US_API_KEY", (str(block), name)
