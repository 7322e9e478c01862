"""The operations that the sandbox serves, for tests of each."""

from klaviyo_pipeline.sandbox.api.catalogue import ENDPOINTS
from klaviyo_pipeline.sandbox.api.endpoints import handler
from klaviyo_pipeline.sandbox.data.shop import generate_shop
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline.sandbox.options import SandboxOptions

_EMPTY = Store(generate_shop(SandboxOptions(profiles=0, events=0, lists=0, templates=0, campaigns=0)))

SERVED = [endpoint for endpoint in ENDPOINTS if handler(_EMPTY, endpoint) is not None]
