"""The commands of a page as one script, which a shell runs in a folder that looks like the clone."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from klaviyo_pipeline_tests.docs.documents import DOCUMENTS, ROOT, Block, blocks, name_of
from klaviyo_pipeline_tests.newcomer.machine import environment

NOT_RUN = {
    r"make (demo|dev)": "newcomer/test_ten_minutes.py runs it, on a fresh machine",
    r"make (test|test-long|test-ui|test-lake|test-clock)": "it would run the tests again",
    r"make mutants.*": "it takes hours",
    r"make (bench|bench-big|profile)": "it takes minutes, and packages that tests do not need",
    r"make (lint|format|docs)": "it is about the working tree: CI lints it, and test_site.py builds the documentation",
    r"pip install.*": "the packages are installed; newcomer/test_ten_minutes.py installs them anew",
    r"docker compose.*": "no container engine is at hand; deployment/ runs the commands of the containers",
}
"""Commands that are left out of the scripts, and why."""
NEWCOMER = "docs/getting-started.md"
"""The page that newcomer/test_ten_minutes.py runs, but for the section of an account."""
ACCOUNT = "Your own account"
INSTALLED = {"docs/install.md", "docs/component.md"}
"""The pages that installed/test_wheel.py follows, with the wheel and without a clone."""
ENDS_WITH = {("docs/sandbox.md", "klaviyo-pipeline reconcile"): 1}
"""Commands whose exit code is not 0, as their page says."""
_LINE = r"(?m)^{}[ \t]*(?:#.*)?$"
_PREAMBLE = """\
stop() { if [ -n "${server:-}" ]; then kill "$server" && wait "$server" || true; fi; }
trap stop EXIT
sandbox() {  # in another terminal: until the next one starts
  stop
  exec {said}< <(exec klaviyo-pipeline sandbox --port PORT "$@" 2>&1)
  server=$!
  while read -r line <&$said; do
    case $line in "sandbox ready"*) return;; esac
  done
  return 1
}
without_account() {
  env -u KLAVIYO_API_KEY -u KLAVIYO_BASE_URL KLAVIYO_DUCKDB_PATH=data/of_a_sandbox.duckdb "$@"
}
ends_with() { code=0; "${@:2}" || code=$?; [ $code = "$1" ]; }
"""


def section(block: Block) -> str:
    """The heading above a block."""
    above = block.path.read_text(encoding="utf-8").splitlines()[: block.line]
    return next((line.lstrip("# ") for line in reversed(above) if re.match("##+ ", line)), "")


def commands(page: Path) -> list[Block]:
    """What a page tells a reader to type, and the steps of its workflow."""
    found = []
    for block in blocks(page):
        if block.language == "sh":
            found.append(block)
        elif block.language == "yaml" and isinstance(said := yaml.safe_load(block.text), dict) and "jobs" in said:
            steps = [step["run"] for job in said["jobs"].values() for step in job["steps"] if "run" in step]
            new = [step for step in steps if all(step not in other.text for other in found)]
            found.append(Block(page, "sh", "\n".join(f"( {step} )" for step in new), block.line))
    return found


def of_newcomer(block: Block) -> bool:
    """Whether the newcomer's test runs it."""
    return name_of(block.path) == NEWCOMER and section(block) != ACCOUNT


def pages() -> list[Path]:
    """The pages that have a command which no other page has."""
    lines = {page: set(_runs(page)) for page in DOCUMENTS if name_of(page) not in INSTALLED}
    return [page for page, own in lines.items() if own and not any(own < others for others in lines.values())]


def _runs(page: Path) -> list[str]:
    return [line for block in commands(page) if not of_newcomer(block) for line in _run(block).splitlines()]


def script(page: Path) -> str:
    """A page's commands, but for those that are left out; each block says where it stands."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    lines = [_PREAMBLE.replace("PORT", port)]
    for block in commands(page):
        if of_newcomer(block) or not (text := _run(block)):
            continue
        for (of_page, command), code in ENDS_WITH.items():
            if name_of(page) == of_page:
                text = re.sub(_LINE.format(re.escape(command)), f"ends_with {code} {command}", text)
        text = re.sub(r"(?m)^klaviyo-pipeline sandbox\b", "sandbox", text.replace("8765", port))
        text = re.sub(
            r"(?m)^(\( )?klaviyo-pipeline with-sandbox", r"\1without_account klaviyo-pipeline with-sandbox", text
        )
        lines += [f"echo '== {block}'", text]
    return "\n".join(lines)


def _run(block: Block) -> str:
    """A block without what is left out; blank if nothing else is in it."""
    text = block.text
    for pattern in NOT_RUN:
        text = re.sub(_LINE.format(rf"(?:\( )?{pattern}(?: \))?"), "", text)
    return text.strip()


def left_out() -> Iterator[str]:
    """The patterns that leave a command out, once for each command."""
    for block in (block for page in DOCUMENTS for block in commands(page)):
        for pattern in NOT_RUN:
            yield from [pattern] * len(re.findall(_LINE.format(rf"(?:\( )?{pattern}(?: \))?"), block.text))


def clone(folder: Path) -> None:
    """What the commands need of the clone."""
    for name in ("pyproject.toml", "dagster.yaml", ".env.example"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "transfers", folder / "transfers")
    (folder / "klaviyo_pipeline").symlink_to(ROOT / "klaviyo_pipeline")
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "data").mkdir()


def follow(
    page: Path, folder: Path, variables: dict[str, str], programs: Path = Path(sys.prefix) / "bin"
) -> subprocess.CompletedProcess[str]:
    """Run a page's commands in a folder, with these programs and variables and nothing else of this process."""
    home = folder / "home"
    home.mkdir()
    plain = environment(home, programs)
    return subprocess.run(
        ["/bin/bash", "-euo", "pipefail", "-c", script(page)],
        cwd=folder,
        env={**plain, **variables},
        input="correct-horse\ncorrect-horse\n",  # the login that one page asks for
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        start_new_session=True,
    )
