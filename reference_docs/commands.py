"""`commands.md`: every command with its arguments and options, and the Makefile's targets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from klaviyo_pipeline.cli import main
from reference_docs.markdown import code, described, table

MAKEFILE = Path(__file__).parents[1] / "Makefile"
PROGRAM = "klaviyo-pipeline"
INTRO = f"""\
# Commands

`{PROGRAM}` is in the virtual environment that `make` sets up: `source .venv/bin/activate`, or call
`.venv/bin/{PROGRAM}`. Every command takes `--help`. Exit codes: 0 success; 1 a run or a check failed; 2 an argument,
a file or a setting is wrong. With `--json` a command prints only JSON to standard output, and messages to standard
error.
"""


def page() -> str:
    """The page's text."""
    parts = [INTRO]
    for path, command in commands():
        parts += [f"## `{' '.join((PROGRAM, *path))}`\n", *_command(path, command)]
    targets = table(["target", "what it does"], [[code(f"make {name}"), text] for name, text in make_targets()])
    return "\n".join([*parts, "## `make`\n", "Every target installs its dependencies first.\n", targets])


def commands(group: click.Group = main, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """All commands that do something, with the words that call them."""
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def make_targets() -> list[tuple[str, str]]:
    """The Makefile's targets that people call."""
    found = re.findall(r"^([a-z-]+):.*?## (.*)$", MAKEFILE.read_text(encoding="utf-8"), re.MULTILINE)
    return [(name, text) for name, text in found if name != "help"]


def _command(path: tuple[str, ...], command: click.Command) -> list[str]:
    words = " ".join((PROGRAM, *path))
    context = click.Context(command, info_name=words)
    usage = " ".join((words, *command.collect_usage_pieces(context)))
    help_text = "\n\n".join(described(paragraph, words) for paragraph in described_paragraphs(command.help, words))
    parts = [f"```\n{usage}\n```\n", help_text + "\n"]
    options = [
        [
            ", ".join(map(code, _names(option, context))),
            _default(option),
            described(option.help, f"{words} {option.opts[0]}"),
        ]
        for option in command.params
        if isinstance(option, click.Option) and not option.hidden
    ]
    if options:
        parts.append(table(["option", "default", "what it does"], options))
    return parts


def described_paragraphs(text: str | None, what: str) -> list[str]:
    """A help text's paragraphs, at least one."""
    described(text, what)
    return [each for each in (text or "").split("\n\n") if each.strip()]


def _names(option: click.Option, context: click.Context) -> list[str]:
    names = [*option.opts, *option.secondary_opts]
    if option.is_flag:
        return names
    return [f"{name} {option.make_metavar(context)}" for name in names]


def _default(option: click.Option) -> str:
    value = option.default
    if option.is_flag or option.multiple or value is None or callable(value) or value == "" or "UNSET" in repr(value):
        return ""
    return code(value)
