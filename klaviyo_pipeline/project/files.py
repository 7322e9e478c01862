"""The files of a project, from templates. The clone of this repository has files of the same templates."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

_TEMPLATES = Path(__file__).with_name("templates")
_HIDDEN = {"env.example": ".env.example", "gitignore": ".gitignore", "dockerignore": ".dockerignore"}
"""Templates whose files begin with a dot. With it, Git would obey them here, and wheels would lack them."""
PROJECT = "klaviyo_project"
"""The Python package of a project."""

CLONE: Mapping[str, str] = {
    "MODULE": "klaviyo_pipeline.definitions",
    "PYTHON": "3.11",
    "BUILD": "COPY pyproject.toml constraints.txt PACKAGE.md LICENSE ./\n"
    "COPY klaviyo_pipeline ./klaviyo_pipeline\n"
    "RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir -c constraints.txt .",
    "COPY": "COPY workspace.yaml ./",
    "KEPT": "!pyproject.toml\n!constraints.txt\n!PACKAGE.md\n!LICENSE\n!workspace.yaml\n!klaviyo_pipeline",
    "USER": "klaviyo",
    "FOLDER": "/opt/klaviyo_pipeline",
    "BIN": "/opt/klaviyo_pipeline/.venv/bin",
}
"""The values of a clone. The units of systemd are for one in /opt."""
_OF_PROJECT_ONLY = (f"{PROJECT}/", "README.md", "pyproject.toml", "requirements.txt", ".gitignore")


@dataclass(frozen=True)
class Written:
    """The paths of files, relative to the project: the new ones, and those that were there and stay as they are."""

    wrote: tuple[str, ...]
    kept: tuple[str, ...]


def write_project(folder: Path) -> Written:
    """Write the files of a project into a folder, which may be new. A file that is there does not change.

    Raises:
        OSError: if a file cannot be written.
    """
    folder = folder.absolute()
    wrote, kept = [], []
    for name, text in rendered(_values(folder)).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            kept.append(name)
        else:
            wrote.append(name)
    return Written(tuple(wrote), tuple(kept))


def of_clone() -> dict[str, str]:
    """The texts of the files that a clone of this repository has from the same templates, by path."""
    return {name: text for name, text in rendered(CLONE).items() if not name.startswith(_OF_PROJECT_ONLY)}


def rendered(values: Mapping[str, str]) -> dict[str, str]:
    """The texts of all files by path, in the order of their names. ``@NAME@`` in a template is the value NAME."""
    found = {}
    for path in sorted(each for each in _TEMPLATES.rglob("*") if each.is_file() and "__pycache__" not in each.parts):
        text = path.read_text(encoding="utf-8")
        for name, value in values.items():
            text = text.replace(f"@{name}@", value)
        name = path.relative_to(_TEMPLATES).as_posix()
        found[_HIDDEN.get(name, name)] = text
    return found


def _values(folder: Path) -> dict[str, str]:
    return {
        "MODULE": f"{PROJECT}.definitions",
        "PYTHON": f"{sys.version_info.major}.{sys.version_info.minor}",
        # A wheel in the folder serves for a version that no package index has.
        "BUILD": "COPY requirements.txt *.whl ./\n"
        "RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --find-links . -r requirements.txt",
        "COPY": f"COPY pyproject.toml workspace.yaml ./\nCOPY {PROJECT} ./{PROJECT}",
        "KEPT": f"!requirements.txt\n!*.whl\n!pyproject.toml\n!workspace.yaml\n!{PROJECT}",
        "REQUIREMENT": f"klaviyo-pipeline=={version('klaviyo-pipeline')}",
        "USER": _user(),
        "FOLDER": _in_unit(folder),
        "BIN": _in_unit(Path(sys.executable).parent),
    }


def _user() -> str:
    """The name of this process's user, or the number of one without a name, as in some containers."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _in_unit(path: Path) -> str:
    """A path in a unit of systemd, for which % begins a specifier."""
    return str(path).replace("%", "%%")
