"""Processes of the service: worker and supervisor."""
