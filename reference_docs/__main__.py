"""`python -m reference_docs`: write the pages, and the clone's files that have templates.

With `--check`: say which ones differ from what would be written.
"""

from __future__ import annotations

import sys
from pathlib import Path

from klaviyo_pipeline.project.files import of_clone
from reference_docs.pages import FOLDER, pages

ROOT = Path(__file__).parents[1]


def main(arguments: list[str]) -> int:
    """Write or check the pages. 1 if a page is not up to date, or something has no description."""
    written = pages()
    stale = [name for name, text in written.items() if _read(FOLDER / name) != text]
    templated = {name: text for name, text in of_clone().items() if _read(ROOT / name) != text}
    left_over = [path.name for path in sorted(FOLDER.glob("*.md")) if path.name not in written]
    if "--check" in arguments:
        for name in (*stale, *left_over):
            print(f"{FOLDER.name}/{name} is not what the code says; run: make docs", file=sys.stderr)
        for name in templated:
            print(f"{name} is not what its template in klaviyo_pipeline/project says; run: make docs", file=sys.stderr)
        return 1 if stale or left_over or templated else 0
    FOLDER.mkdir(exist_ok=True)
    for name in stale:
        (FOLDER / name).write_text(written[name], encoding="utf-8")
        print(f"wrote {FOLDER.name}/{name}")
    for name, text in templated.items():
        (ROOT / name).write_text(text, encoding="utf-8")
        print(f"wrote {name}")
    for name in left_over:
        (FOLDER / name).unlink()
    return 0


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
