"""A local Klaviyo: the same REST API on localhost, over generated data that one seed determines.

It shares no code with the client, so that the two can't agree on the same mistake. Start it with
`klaviyo_pipeline.sandbox.server.running_sandbox` (tests), `sandbox_process` (benchmarks) or the `sandbox`
command (people).
"""
