"""The documents as tests read them: files, links, anchors, and blocks of code."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_BESIDE = ("README.md", "PACKAGE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "transfers/README.md")
DOCUMENTS = sorted([*DOCS.rglob("*.md"), *(ROOT / name for name in _BESIDE)])
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)|<img[^>]*src=\"([^\"]+)\"")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@dataclass(frozen=True)
class Block:
    """A fenced block of code."""

    path: Path
    language: str
    text: str
    line: int

    def __str__(self) -> str:
        return f"{name_of(self.path)}:{self.line}"


def blocks(path: Path) -> list[Block]:
    text = path.read_text(encoding="utf-8")
    return [Block(path, found[1], found[2], text.count("\n", 0, found.start()) + 2) for found in _FENCE.finditer(text)]


def all_blocks(*languages: str) -> list[Block]:
    return [block for path in DOCUMENTS for block in blocks(path) if block.language in languages]


def prose(path: Path) -> str:
    """A document without its blocks of code."""
    return _FENCE.sub("", path.read_text(encoding="utf-8"))


def links(path: Path) -> list[str]:
    """The targets of a document's links and pictures."""
    return [found[1] or found[2] for found in _LINK.finditer(prose(path))]


def anchors(path: Path) -> set[str]:
    """The anchors of a document's headings."""
    headings = re.findall(r"^#+ (.*)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def command_lines(text: str) -> Iterator[list[str]]:
    """The commands of a block of shell, as words; those after `--` on their own as well."""
    for line in text.replace("\\\n", " ").splitlines():
        try:
            words = shlex.split(line, comments=True)
        except ValueError:  # a quote that ends on another line
            continue
        while words:
            cut = words.index("--") if "--" in words else len(words)
            yield words[:cut]
            words = words[cut + 1 :]


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def text_of(html: Path) -> str:
    """What a person reads on a page of the site."""
    reader = _Text()
    reader.feed(html.read_text(encoding="utf-8"))
    return " ".join(" ".join(reader.parts).split())
