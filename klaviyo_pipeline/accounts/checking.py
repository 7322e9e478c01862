"""Checks accounts of the project: settings, keys, and the data sources that keys may read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from klaviyo_pipeline.accounts.file import BrokenAccount, read_accounts
from klaviyo_pipeline.accounts.parts import AccountParts, account_parts, project_accounts
from klaviyo_pipeline.errors import PipelineError
from klaviyo_pipeline.orchestration.resources import IMPATIENT


@dataclass(frozen=True)
class AccountCheck:
    """What a check of one account found.

    Attributes:
        name: The account's name.
        account: The name and id at Klaviyo; blank if they are not known.
        readable: The data sources that are assets and that the key may read.
        problems: What is wrong, in sentences.
        warnings: What deserves a look, in sentences.
    """

    name: str
    account: str = ""
    readable: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def check_accounts(name: str | None = None) -> list[AccountCheck]:
    """Check one account, or all of the project. Accounts with one key get a warning, because they share rate limits.

    Raises:
        ConfigurationError: if there is no account of this name, or klaviyo.yml is not YAML.
    """
    broken = [each for each in read_accounts() if isinstance(each, BrokenAccount) and name in (None, each.name)]
    found = [AccountCheck(each.name, problems=tuple(str(each.error).split("\n"))) for each in broken]
    accounts = project_accounts(report=False) if name is None else [] if broken else [account_parts(name)]
    return [*(_checked(each) for each in accounts), *found]


def _checked(parts: AccountParts) -> AccountCheck:
    from klaviyo_pipeline.klaviyo.endpoints.key_check import check_account

    try:
        client = parts.klaviyo.with_settings(**IMPATIENT).client()
        report = check_account(client, parts.naming.chosen())
    except PipelineError as error:
        return AccountCheck(parts.name, problems=(str(error),))
    wrong = [f"{each.source}: {', '.join(each.missing) or each.problem}" for each in report.sources if not each.ok]
    return AccountCheck(
        parts.name,
        f"{report.account} {report.account_id}".strip(),
        tuple(each.source for each in report.sources if each.ok),
        tuple(wrong),
        tuple(_same_key(parts, client.account)),
    )


def _same_key(parts: AccountParts, key: str) -> Iterator[str]:
    for other in project_accounts(report=False):
        try:
            same = other.name != parts.name and other.klaviyo.client().account == key
        except PipelineError:
            continue
        if same:
            yield f"{parts.name} and {other.name} have one key: they load the same data, and share its rate limits."
