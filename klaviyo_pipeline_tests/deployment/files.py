"""Reading the files of a deployment as a container engine reads them: Dockerfile, .dockerignore, compose.yaml."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Instruction:
    """One instruction of a Dockerfile. ``words`` are its arguments without flags such as --chown."""

    name: str
    words: tuple[str, ...]
    flags: Mapping[str, str]


def dockerfile(path: Path = ROOT / "Dockerfile") -> list[Instruction]:
    """A Dockerfile's instructions, with continued lines joined."""
    text = re.sub(r"\\\n\s*", " ", path.read_text())
    return [_instruction(line) for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def _instruction(line: str) -> Instruction:
    name, rest = line.split(maxsplit=1)
    words = json.loads(rest) if rest.startswith("[") else shlex.split(rest)
    flags = dict(word[2:].partition("=")[::2] for word in words if word.startswith("--") and name in {"COPY", "ADD"})
    return Instruction(name, tuple(word for word in words if word[2:].partition("=")[0] not in flags), flags)


def last_stage(instructions: list[Instruction]) -> list[Instruction]:
    """The instructions of the stage that becomes the image."""
    start = max(number for number, each in enumerate(instructions) if each.name == "FROM")
    return instructions[start:]


class Ignored:
    """A .dockerignore: the last pattern that matches a path, or one of the folders it is in, decides."""

    def __init__(self, path: Path = ROOT / ".dockerignore") -> None:
        lines = [line.strip() for line in path.read_text().splitlines()]
        self._rules = [
            (not line.startswith("!"), _pattern(line.lstrip("!").strip("/")))
            for line in lines
            if line and not line.startswith("#")
        ]

    def __contains__(self, path: str) -> bool:
        parts = path.split("/")
        above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
        ignored = False
        for ignores, pattern in self._rules:
            if any(pattern.fullmatch(each) for each in above):
                ignored = ignores
        return ignored


def _pattern(glob: str) -> re.Pattern[str]:
    """Go's filepath.Match, and ** for any number of folders."""
    text = ""
    position = 0
    while position < len(glob):
        if glob.startswith("**/", position):
            text, position = text + "(?:.*/)?", position + 3
        elif glob.startswith("**", position):
            text, position = text + ".*", position + 2
        elif glob[position] == "*":
            text, position = text + "[^/]*", position + 1
        elif glob[position] == "?":
            text, position = text + "[^/]", position + 1
        elif glob[position] == "[":
            end = glob.index("]", position)
            text, position = text + glob[position : end + 1].replace("[^", "[^/"), end + 1
        else:
            text, position = text + re.escape(glob[position]), position + 1
    return re.compile(text)


def compose(path: Path = ROOT / "compose.yaml") -> dict[str, Any]:
    """compose.yaml, anchors and merges resolved."""
    return yaml.safe_load(path.read_text())


def filled_in(text: str, values: Mapping[str, str]) -> str:
    """A template as the nginx image fills it in: ${NAME} of variables that are set."""
    return re.sub(r"\$\{(\w+)\}", lambda found: values.get(found[1], found[0]), text)


def without_default(text: str) -> str:
    """A value of compose.yaml where no variable is set: ${NAME:-default} is the default."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
