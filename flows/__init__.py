"""Prefect flows and deployments: which work runs under Prefect, and when."""
