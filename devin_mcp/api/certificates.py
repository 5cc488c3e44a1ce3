"""The certificates that are trusted: the system's, certifi's, and a company's own."""

from __future__ import annotations

import ssl
import sys
from contextlib import suppress

import certifi

from devin_mcp.observability.log import event
from devin_mcp.settings import Settings


def trust_store(settings: Settings) -> tuple[ssl.SSLContext, str | None]:
    """The certificates, and why those of SSL_CERT_FILE are not among them: see `add_ca_bundle`."""
    context = _client_context()
    context.load_verify_locations(cafile=certifi.where())
    with suppress(OSError):
        context.load_default_certs()
    if settings.ca_bundle is not None:  # for OpenSSL it replaces the system's file
        with suppress(OSError):
            system_file = ssl.get_default_verify_paths().openssl_cafile
            context.load_verify_locations(cafile=system_file)
    return context, add_ca_bundle(context, settings)


def add_ca_bundle(context: ssl.SSLContext, settings: Settings) -> str | None:
    """Trust the company's own certificates, if there are any.

    Returns what is wrong with their file: the rest of a sentence about SSL_CERT_FILE.
    """
    if settings.ca_bundle is None:
        return None
    try:
        context.load_verify_locations(cafile=settings.ca_bundle)
    except FileNotFoundError:
        return "names a file that does not exist"
    except ssl.SSLError:
        return "names a file without certificates in PEM form"
    except OSError:
        return "names a file that cannot be read"
    return None


def ca_bundle_problem(settings: Settings) -> str | None:
    """What `add_ca_bundle` would return."""
    if settings.ca_bundle is None:
        return None
    return add_ca_bundle(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), settings)


def warn_about_ca_bundle(settings: Settings) -> None:
    """Log an unusable SSL_CERT_FILE. Other programs read it, too, so the server starts."""
    problem = ca_bundle_problem(settings)
    if problem is not None:
        event("variable_ignored", level="warning", variable="SSL_CERT_FILE", why=problem)


def _client_context() -> ssl.SSLContext:
    """Like `ssl.create_default_context`, but it does not write session keys to SSLKEYLOGFILE, nor
    fail if it cannot.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if sys.version_info >= (3, 13):
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    return context
