"""The HTTP transport: authentication, limits, health endpoints, workers, graceful shutdown."""
