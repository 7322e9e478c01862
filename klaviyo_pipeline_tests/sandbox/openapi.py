"""Validates answers against Klaviyo's OpenAPI documents, where they lie beside the repository.

Live answers break the documents in three ways, recorded on 2026-07-15, and the sandbox follows the answers:
`links.next` and `links.prev` are null at the ends, a to-one relationship to nothing has `data: null`, and where
`oneOf` lists equal alternatives more than one of them fits.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

DOCUMENTS = Path(__file__).parents[3] / "shared" / "klaviyo" / "openapi"
FILES = {
    "2025-01-15": "2025-01-15.json",
    "2026-07-15": "2026-07-15.json",
    "2026-10-15": "2026-10-15.sdk-derived.json",
}


@cache
def document(revision: str) -> dict[str, Any]:
    return _as_json_schema(json.loads((DOCUMENTS / FILES[revision]).read_text()))


@cache
def _validator(revision: str, path: str, method: str, status: int) -> Draft202012Validator:
    found = document(revision)
    responses = found["paths"][path][method.lower()]["responses"]
    response = responses["200" if status == 200 else "4XX"]
    if "$ref" in response:
        response = found["components"]["responses"][response["$ref"].rpartition("/")[2]]
    schema = next(iter(response["content"].values()))["schema"]
    return Draft202012Validator({"components": found["components"], "allOf": [schema]})


def check(revision: str, path: str, method: str, status: int, body: Any) -> None:
    """Fail with the first differences between a body and the document."""
    errors = list(_validator(revision, path, method, status).iter_errors(body))
    assert not errors, "\n".join(f"{error.json_path}: {error.message[:300]}" for error in errors[:5])


def path_of(revision: str, path: str) -> str:
    """The path as the document has it, which calls the ids of jobs otherwise; ``path`` stands below ``/api/``."""
    path = f"/api/{path}"
    return path if path in document(revision)["paths"] else path.replace("{id}", "{job_id}")


def lists(revision: str) -> list[str]:
    """The paths whose GET answers with a list."""
    return [path for path, operations in document(revision)["paths"].items() if _is_list(revision, operations)]


def _is_list(revision: str, operations: dict[str, Any]) -> bool:
    answer = operations.get("get", {}).get("responses", {}).get("200", {})
    if "content" not in answer:
        return False
    data = _properties(revision, next(iter(answer["content"].values()))["schema"]).get("data", {})
    return data.get("type") == "array" or "items" in data


def _properties(revision: str, schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = document(revision)["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    found = dict(schema.get("properties", {}))
    for each in schema.get("allOf", []):
        found |= _properties(revision, each)
    return found


def parameters(revision: str, path: str, method: str = "get") -> dict[str, Any]:
    """An operation's parameters by name."""
    return {found["name"]: found for found in document(revision)["paths"][path][method]["parameters"]}


def enumeration(parameter: Any) -> list[str]:
    """The values that a parameter takes."""
    schema = parameter["schema"]
    return list(schema.get("items", schema).get("enum", []))


def _as_json_schema(node: Any, key: str = "") -> Any:
    if isinstance(node, list):
        return [_as_json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    made = {name: _as_json_schema(value, name) for name, value in node.items()}
    if isinstance(made.get("oneOf"), list):
        made["anyOf"] = made.pop("oneOf")
    nullable = made.pop("nullable", False) is True
    to_one = key == "data" and set(made.get("required", ())) == {"type", "id"}
    if nullable or key in ("next", "prev") or to_one:
        return {"anyOf": [{"type": "null"}, made]}
    return made
