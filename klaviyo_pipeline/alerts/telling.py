"""Tells each channel of the problems that have begun or ended since it was told last.

Each channel has its own memory, so a mail server that is down makes no second message in Slack. The memory changes
after a delivery. A process that ends between a delivery and its record tells again; none is lost.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from klaviyo_pipeline import environment
from klaviyo_pipeline.alerts.messages import json_message, mail, slack_message
from klaviyo_pipeline.alerts.problems import Problem
from klaviyo_pipeline.alerts.smtp import MailServer, send
from klaviyo_pipeline.errors import PipelineError
from klaviyo_pipeline.orchestration.automation.webhook import post

Deliver = Callable[[Problem, bool], None]
"""Delivers the message of a problem, or that it is over."""


@dataclass
class Memory:
    """The problems that each channel has been told of and that have not ended, by channel and key."""

    told: dict[str, dict[str, Problem]] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str | None) -> Memory:
        """The memory from its text; an empty one from None."""
        kept = json.loads(text) if text else {}
        return cls({channel: {key: Problem(**each) for key, each in of.items()} for channel, of in kept.items()})

    def text(self) -> str:
        """The memory as a text."""
        kept = {channel: {key: asdict(each) for key, each in of.items()} for channel, of in self.told.items()}
        return json.dumps(kept, sort_keys=True)

    @property
    def keys(self) -> set[str]:
        """The keys of all these problems."""
        return {key for of in self.told.values() for key in of}


def channels() -> Mapping[str, Deliver]:
    """The channels that the environment names.

    Raises:
        ConfigurationError: if a setting is missing or wrong.
    """
    found: dict[str, Deliver] = {}
    allow_http = environment.allow_http()
    if slack := environment.ALERT_WEBHOOK.value:
        found["Slack"] = lambda problem, over: post(slack, slack_message(problem, over=over), allow_http=allow_http)
    if any_webhook := environment.ALERT_JSON_WEBHOOK.value:
        found["webhook"] = lambda problem, over: post(
            any_webhook, json_message(problem, over=over), allow_http=allow_http
        )
    if recipients := environment.ALERT_MAIL_TO.value:
        server, sender = MailServer.of_environment(), environment.ALERT_MAIL_FROM.value or recipients.split(",")[0]
        found["mail"] = lambda problem, over: send(
            mail(problem, over=over, sender=sender, recipients=recipients), server
        )
    return found


def tell(memory: Memory, now: Sequence[Problem], to: Mapping[str, Deliver]) -> tuple[list[str], list[str]]:
    """Deliver what each channel has not been told, and remember it.

    Returns:
        What was delivered, and what was not: a sentence each.
    """
    delivered, failed = list[str](), list[str]()
    current = {problem.key: problem for problem in now}
    for channel, deliver in to.items():
        told = memory.told.setdefault(channel, {})
        begun = [(problem, False) for key, problem in current.items() if key not in told]
        ended = [(problem, True) for key, problem in told.items() if key not in current]
        for problem, over in (*ended, *begun):
            try:
                deliver(problem, over)
            except PipelineError as error:
                failed.append(f"{channel}: {error}")
                break  # the others would wait as long, and a sensor has a minute
            if over:
                del told[problem.key]
            else:
                told[problem.key] = problem
            delivered.append(f"{channel}: {'ended' if over else 'begun'}: {problem.title}")
    memory.told = {channel: told for channel, told in memory.told.items() if channel in to}
    return delivered, failed
