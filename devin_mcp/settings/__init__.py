"""Settings: each one declared once with its flag, environment variable, default, parser and help."""
