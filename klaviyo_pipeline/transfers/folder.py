"""The folder of transfers: one YAML file each, in git. A broken file does not affect the others."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from klaviyo_pipeline import environment
from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.similar import did_you_mean
from klaviyo_pipeline.transfers.file.authentications import read_authentications
from klaviyo_pipeline.transfers.file.reading import TransferFile, check_name, read_file, read_text, text_of
from klaviyo_pipeline.yaml_files.editing import Change, with_values
from klaviyo_pipeline.yaml_files.problems import FileError, Problem

_log = logging.getLogger(__name__)
SUFFIXES = (".yml", ".yaml")
TEMPLATES = (".yml.liquid", ".yaml.liquid")
"""Embulk's templates. They are listed as broken, so that no import is missing without a word."""


@dataclass(frozen=True)
class Broken:
    """A broken file, and its errors."""

    name: str
    path: Path
    error: FileError


class _Any(Collection[str]):
    """Holds any name: what is known of the accounts while their file is broken."""

    def __contains__(self, _name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class Folder:
    """A folder of transfers; it need not exist.

    Args:
        path: The folder; by default KLAVIYO_TRANSFERS_DIR.
        taken: Gives the names that a transfer cannot have; asked once there is a file.
    """

    def __init__(self, path: Path | str | None = None, taken: Callable[[], Collection[str]] = frozenset[str]) -> None:
        self._given = path
        self._taken = taken

    @property
    def path(self) -> Path:
        """The folder.

        Raises:
            ConfigurationError: if the environment names none that can be one.
        """
        return Path(self._given or environment.TRANSFERS.value)

    def all(self) -> list[TransferFile | Broken]:
        """Every transfer by name, broken ones too."""
        try:
            paths = self._paths()
        except ConfigurationError as error:
            name = str(self._given or environment.TRANSFERS.text)
            broken = error if isinstance(error, FileError) else FileError(name, [Problem(0, 0, str(error))])
            return [Broken(name, Path(name), broken)]
        if not paths:
            return []
        accounts, taken = self._accounts(), self._taken()
        found: list[TransferFile | Broken] = []
        first_of: dict[str, Path] = {}
        for path in paths:
            try:
                # DuckDB, and some file systems, do not tell names apart by case.
                first = first_of.setdefault(path.stem.lower(), path)
                if first != path:
                    raise FileError(str(path), [Problem(0, 0, f"has the name of {first}.")])
                if path.name.endswith(TEMPLATES):
                    name = path.name.removesuffix(".liquid")
                    raise FileError(
                        str(path), [Problem(0, 0, f"rename it to {name}: {{{{ env.NAME }}}} is read there.")]
                    )
                check_name(path.stem, taken)
                found.append(read_file(path, accounts))
            except FileError as error:
                found.append(Broken(path.stem, path, error))
            except Exception as error:
                # Whatever else is wrong with one file, the others are not to suffer for it.
                _log.exception("Reading %s failed unexpectedly.", path)
                found.append(
                    Broken(path.stem, path, FileError(str(path), [Problem(0, 0, f"can't be used: {error!r}")]))
                )
        return found

    def good(self) -> list[TransferFile]:
        """Every transfer that can be used."""
        return [each for each in self.all() if isinstance(each, TransferFile)]

    def get(self, name: str) -> TransferFile:
        """One transfer.

        Raises:
            FileError: if its file is broken.
            ConfigurationError: if there is none of this name.
        """
        path = self.path_of(name)
        if path is None:
            names = tuple(path.stem for path in self._paths())
            there = f"there is {', '.join(names)}{did_you_mean(name, names)}" if names else "there is none yet."
            raise ConfigurationError(f"There is no transfer {name!r} in {self.path}; {there}")
        check_name(name, self._taken())
        return read_file(path, self._accounts())

    def path_of(self, name: str) -> Path | None:
        """The file of a transfer; None without one."""
        return next((path for path in self._paths() if path.stem == name), None)

    def create(self, name: str, text: str, changes: Sequence[Change], origin: str) -> TransferFile:
        """Write a new transfer's file: a given text, with some values set.

        Raises:
            FileError: if the name is taken, or anything is wrong with the text.
        """
        self.check_new(name, text, origin)
        return self._write(self.path / f"{name}.yml", text, changes)

    def check_new(self, name: str, text: str, origin: str) -> None:
        """Check whether a text can become a new transfer's file.

        Raises:
            FileError: if the name is taken, or anything is wrong with the text.
        """
        check_name(name, self._taken())
        there = self.path_of(name)
        if there is not None:
            raise FileError(str(there), [Problem(0, 0, f"is there already; change it with: transfer update {name}")])
        read_text(text, Path(origin))

    def update(self, name: str, changes: Sequence[Change], text: str | None = None) -> TransferFile:
        """Change values in a transfer's file, or replace its text first.

        Raises:
            FileError: if anything is wrong with what it would be; the file is as it was.
        """
        path = self.path_of(name) or self.get(name).path
        return self._write(path, text_of(path) if text is None else text, changes)

    def delete(self, name: str) -> Path:
        """Remove a transfer's file, and say which it was."""
        path = self.path_of(name) or self.get(name).path
        path.unlink()
        return path

    def _write(self, path: Path, text: str, changes: Sequence[Change]) -> TransferFile:
        text = with_values(text, changes, str(path))
        made = read_text(text, path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            # Whole or not at all: Dagster may read the folder at any moment.
            handle, temporary = tempfile.mkstemp(dir=self.path, prefix=f".{path.stem}.", suffix=".tmp")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            if not made.warnings:  # a key in plain text stays readable by its owner alone
                Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except OSError as error:
            raise FileError(str(path), [Problem(0, 0, f"can't be written: {error.strerror or error}")]) from None
        return made

    def _paths(self) -> list[Path]:
        """Everything in the folder that has the name of a transfer's file.

        Raises:
            FileError: if the folder is there and cannot be read.
        """
        try:
            found = [path for path in self.path.iterdir() if path.name.endswith(SUFFIXES + TEMPLATES)]
        except FileNotFoundError:
            return []
        except OSError as error:
            reason = f"can't be read as a folder: {error.strerror or error}."
            raise FileError(str(self.path), [Problem(0, 0, reason)]) from None
        return sorted(path for path in found if not path.name.startswith("."))

    def _accounts(self) -> Collection[str]:
        try:
            return read_authentications().keys()
        except ConfigurationError:  # said by check, and by the run that needs an account
            return _Any()
