"""Which tests belong to which module, as ``[tool.mutants]`` in pyproject.toml says."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Settings:
    """How mutants are made and tested.

    Args:
        sample: Mutants a module; a random sample of all that there are.
        seed: Decides the sample.
        skip: Regular expressions; an operator of Cosmic Ray whose name matches one is left out.
        tests: Tests by module, both as paths below the root.
    """

    sample: int
    seed: str
    skip: tuple[re.Pattern[str], ...]
    tests: Mapping[str, tuple[str, ...]]

    @classmethod
    def read(cls, **changes: Any) -> Settings:  # noqa: ANN401 - fields of this class
        """The project's settings, with the changes that are not None."""
        table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutants"]
        given = {name: value for name, value in changes.items() if value is not None}
        return cls(
            sample=int(given.get("sample", table["sample"])),
            seed=str(given.get("seed", table["seed"])),
            skip=tuple(re.compile(each) for each in table["skip-operators"]),
            tests={module: tuple(table["tests"].get(module, [_tests_of_room(module)])) for module in _modules(table)},
        )

    def modules(self, wanted: Sequence[str]) -> list[str]:
        """The modules whose path contains one of these texts; all of them if there is none.

        Raises:
            SystemExit: if a text is in no module's path.
        """
        unknown = [each for each in wanted if not any(each in module for module in self.tests)]
        if unknown:
            known = "\n  ".join(self.tests)
            raise SystemExit(f"No module with tests is called {', '.join(unknown)}. There are:\n  {known}")
        return [module for module in self.tests if not wanted or any(each in module for each in wanted)]


def _modules(table: Mapping[str, Any]) -> list[str]:
    paths = [path for pattern in table["modules"] for path in sorted(ROOT.glob(pattern))]
    return [path.relative_to(ROOT).as_posix() for path in paths if path.name not in table["without"]]


def _tests_of_room(module: str) -> str:
    package, room, *_file = module.split("/")
    return f"{package}_tests/{room}"
