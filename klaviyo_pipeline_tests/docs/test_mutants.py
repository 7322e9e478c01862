"""The settings of `make mutants` name modules and tests that exist."""

from __future__ import annotations

import tomllib

import pytest

from mutation.settings import ROOT, Settings


def test_modules_when_all_are_mutated_then_each_has_tests_that_exist() -> None:
    settings = Settings.read()

    assert {f"klaviyo_pipeline/{name}.py" for name in ("klaviyo/windows", "warehouse/ledger", "loads/request")} <= (
        settings.tests.keys()
    )
    assert not [test for tests in settings.tests.values() for test in tests if not _exists(test)]


def test_modules_when_they_have_tests_of_their_own_then_they_exist() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutants"]["tests"]

    assert not listed.keys() - Settings.read().tests.keys()


def test_modules_when_chosen_by_a_part_of_their_path_then_are_those() -> None:
    assert Settings.read().modules(["warehouse/ledger", "windows"]) == [
        "klaviyo_pipeline/klaviyo/windows.py",
        "klaviyo_pipeline/warehouse/ledger.py",
    ]
    with pytest.raises(SystemExit, match="No module with tests is called nope"):
        Settings.read().modules(["nope"])


def _exists(test: str) -> bool:
    file, _colons, name = test.partition("::")
    return (ROOT / file).exists() and (not name or f"def {name}(" in (ROOT / file).read_text())
