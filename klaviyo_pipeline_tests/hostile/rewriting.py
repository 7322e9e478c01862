"""A Klaviyo that sends what its store could never hold: attributes are rewritten on their way, to any text at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from klaviyo_pipeline.sandbox.api.messages import Request, Response, Send, deliver
from klaviyo_pipeline.sandbox.faults.plan import NoFaults
from klaviyo_pipeline.sandbox.server import RunningSandbox

Texts = Mapping[str, Mapping[str, str]]
"""By id, the JSON text of attributes; it stands in the answer exactly so, be it JSON or not."""


class Rewriting(NoFaults):
    """Puts texts in place of some rows' attributes, in every answer that has these rows."""

    def __init__(self, texts: Texts) -> None:
        self.texts = texts

    async def deliver(self, _operation: str, _request: Request, response: Response, send: Send) -> None:
        await deliver(replace(response, body=self._rewritten(response.body)), send)

    def _rewritten(self, body: bytes) -> bytes:
        document, texts = json.loads(body), dict[str, str]()
        for row in document["data"] if isinstance(document.get("data"), list) else []:
            for name, text in self.texts.get(row["id"], {}).items():
                placeholder = f"@{row['id']}@{name}@"
                row["attributes"][name] = placeholder
                texts[json.dumps(placeholder)] = text
        body_text = json.dumps(document)
        for placeholder, text in texts.items():
            body_text = body_text.replace(placeholder, text)
        return body_text.encode()


def rewrite(sandbox: RunningSandbox, texts: Texts) -> None:
    """From now on the sandbox answers so."""
    sandbox.app.faults = Rewriting(texts)
