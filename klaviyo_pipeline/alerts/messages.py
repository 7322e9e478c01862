"""A problem as a message: in Slack's format, as plain JSON, and as a mail."""

from __future__ import annotations

from email.message import EmailMessage
from typing import Any

from klaviyo_pipeline.alerts.problems import Problem
from klaviyo_pipeline.redaction import redact, redact_values


def title_of(problem: Problem, *, over: bool) -> str:
    """The title of the message; ``over``: the problem has ended."""
    return f"Well again: {problem.title}" if over else problem.title


def slack_message(problem: Problem, *, over: bool) -> dict[str, Any]:
    """The message in Slack's format."""
    title, link = title_of(problem, over=over), f"<{problem.link}|Open in Dagster>" if problem.link else ""
    texts = [_escaped(problem.sentence) if not over else "", link]
    found = {
        "text": _escaped(f"{title}. {problem.sentence}" if not over else title),
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": title[:150]}},
            *({"type": "section", "text": {"type": "mrkdwn", "text": text}} for text in texts if text),
        ],
    }
    return dict(redact_values(found))


def json_message(problem: Problem, *, over: bool) -> dict[str, Any]:
    """The message for programs."""
    found = {
        "state": "resolved" if over else "open",
        "key": problem.key,
        "title": problem.title,
        "sentence": problem.sentence,
        "link": problem.link,
    }
    return dict(redact_values(found))


def mail(problem: Problem, *, over: bool, sender: str, recipients: str) -> EmailMessage:
    """The message as a mail in plain text."""
    message = EmailMessage()
    message["Subject"] = " ".join(redact(f"Klaviyo: {title_of(problem, over=over)}").split())
    message["From"], message["To"] = sender, recipients
    lines = ["The problem has ended." if over else problem.sentence, problem.link]
    message.set_content("\n\n".join(redact(line) for line in lines if line) + "\n")
    return message


def mail_with_page(subject: str, text: str, page: bytes, *, name: str, sender: str, recipients: str) -> EmailMessage:
    """A mail in plain text with an HTML page attached."""
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = subject, sender, recipients
    message.set_content(redact(text) + "\n")
    message.add_attachment(page, maintype="text", subtype="html", filename=name, params={"charset": "utf-8"})
    return message


def _escaped(text: str) -> str:
    """Text with Slack's escapes, so that it contains no link or mention."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
