"""Values are set in a file without touching the rest of it."""

from __future__ import annotations

import pytest
import yaml

from klaviyo_pipeline.yaml_files.editing import with_values

TEXT = """\
# daily lists
in:
  type: klaviyo   # theirs
  data_source: lists
out: {mode: append}   # duplicates are fine

# the end
"""


def test_what_is_there_is_replaced_and_what_is_not_is_added_and_comments_stay() -> None:
    made = with_values(
        TEXT,
        [
            (("in", "data_source"), "events"),
            (("in", "start_time"), "2026-01-01"),
            (("out", "table"), "a, b"),
            (("schedule", "cron"), "@daily"),
            (("schedule", "delay"), 60),
        ],
        "x.yml",
    )

    assert yaml.safe_load(made) == {
        "in": {"type": "klaviyo", "data_source": "events", "start_time": "2026-01-01"},
        "out": {"mode": "append", "table": "a, b"},
        "schedule": {"cron": "@daily", "delay": 60},
    }
    assert [line for line in TEXT.splitlines() if "#" in line and "out" not in line] == [
        line for line in made.splitlines() if "#" in line and "out" not in line
    ]


@pytest.mark.parametrize(
    "text",
    [
        "a: 1",
        "{a: 1}",
        "{}\n",
        "a: 1\nb:\n",
        "a: 1\nb: null # none\n",
        "a: 1\nb: {}\n",
        "b:\n  - 1\n",
        "b:\n    c: |\n      text\n      more\n",
        "b:\n    d:\n      - e: 1\n        f: 2\n\n# tail\n",
        'b: {c: "x",\n  d: 2}\n',
        "b: {c: 1} # {note}\nz: 'ü'\n",
    ],
)
def test_any_layout_is_kept(text: str) -> None:
    expected = yaml.safe_load(text)
    if not isinstance(expected.get("b"), dict):
        expected["b"] = {}
    expected["b"]["c"] = "10 0 * * *"
    expected["new"] = {"x": True}

    made = with_values(text, [(("b", "c"), "10 0 * * *"), (("new", "x"), True)], "x.yml")

    assert yaml.safe_load(made) == expected
    assert with_values(made, [(("b", "c"), "10 0 * * *"), (("new", "x"), True)], "x.yml") == made
