"""Python looks for unused objects less often, unless a program has its own idea of it."""

import subprocess
import sys

import pytest

from klaviyo_pipeline.collecting import NEW_OBJECTS


@pytest.mark.parametrize(("newest", "then"), [(700, NEW_OBJECTS), (NEW_OBJECTS * 3, NEW_OBJECTS * 3)])
def test_looks_become_less_frequent_and_leave_out_what_is_there(newest: int, then: int) -> None:
    assert collector_after(f"gc.set_threshold({newest}, 5, 3)") == f"True ({then}, 5, 3) True"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("gc.set_threshold(700, 5, 3); gc.disable()", "False (700, 5, 3) False"),
        ("gc.set_threshold(0, 5, 3)", "True (0, 5, 3) False"),
    ],
)
def test_a_program_that_switched_the_collector_off_keeps_it_so(before: str, after: str) -> None:
    assert collector_after(before) == after


def test_program_that_used_duckdb_before_ends_without_a_word() -> None:
    program = (
        "import duckdb; duckdb.connect().execute('SELECT 1').fetchall(); "
        "from klaviyo_pipeline.collecting import look_less_often; look_less_often()"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout + done.stderr == ""


def collector_after(before: str) -> str:
    program = (
        f"import gc; from klaviyo_pipeline.collecting import look_less_often; {before}; look_less_often(); "
        "print(gc.isenabled(), gc.get_threshold(), gc.get_freeze_count() > 0)"
    )
    return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.strip()
