"""Alerts: one message when a problem begins, and one when it has ended, to a webhook or by mail."""
