"""What one of the supported Pythons does wrong, and the package therefore does without."""

from __future__ import annotations

import ast

import klaviyo_pipeline
from klaviyo_pipeline_tests.docs.documents import ROOT, name_of


def test_variables_of_comprehensions_do_not_hide_functions_that_are_used_beside_them() -> None:
    """Python 3.12.1 then finds neither: "cannot access local variable '_value'"."""
    found = []
    for path in (ROOT / klaviyo_pipeline.__name__).rglob("*.py"):
        module = ast.parse(path.read_text())
        defined = {each.name for each in module.body if isinstance(each, ast.FunctionDef | ast.ClassDef)}
        for function in (each for each in ast.walk(module) if isinstance(each, ast.FunctionDef)):
            loops = [each.target for each in ast.walk(function) if isinstance(each, ast.comprehension)]
            named = {each.id for loop in loops for each in ast.walk(loop) if isinstance(each, ast.Name)}
            calls = {ast.unparse(each.func) for each in ast.walk(function) if isinstance(each, ast.Call)}
            found += [f"{name_of(path)}: {function.name}: {name}" for name in sorted(named & defined & calls)]
    assert not found
