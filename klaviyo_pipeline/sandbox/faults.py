"""Where misbehaviour is plugged in: two hooks that the app consults for every API request."""

from typing import Protocol

from klaviyo_pipeline.sandbox.messages import Request, Response, Send, deliver


class Faults(Protocol):
    """What may go wrong. Methods run in the server's event loop."""

    async def instead(self, operation: str, request: Request) -> Response | None:
        """An answer to give instead of Klaviyo's (a storm of 429, a 503, HTML), or None to go on."""
        ...

    async def deliver(self, operation: str, request: Request, response: Response, send: Send) -> None:
        """Send the answer: whole, late, altered, cut short or not at all (raise to drop the connection)."""
        ...


class NoFaults:
    """Everything goes well."""

    async def instead(self, operation: str, request: Request) -> Response | None:
        """Never."""
        return None

    async def deliver(self, operation: str, request: Request, response: Response, send: Send) -> None:
        """Whole and at once."""
        await deliver(response, send)
