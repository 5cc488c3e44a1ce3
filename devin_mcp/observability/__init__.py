"""Observability: log, redaction, metrics and traces."""
