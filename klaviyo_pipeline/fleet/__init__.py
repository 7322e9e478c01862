"""Runs on several machines, with Celery. Needs ``klaviyo-pipeline[celery]``."""
