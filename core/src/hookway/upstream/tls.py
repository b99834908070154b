"""TLS towards providers: what can be set, and one context per distinct setting."""

from __future__ import annotations

import ssl
from pathlib import Path

import msgspec

from hookway_sdk.errors import InvalidUpstreamConfig

_PEM_CERTIFICATE = "-----BEGIN CERTIFICATE-----"


class TlsSettings(msgspec.Struct, frozen=True, cache_hash=True, gc=False):
    """How a provider is to be recognised, and how we present ourselves. Equal settings share connections.

    Args:
        ca_file: a PEM bundle whose certificates are trusted in addition to the system's.
        ca_pem: the same, inline.
        client_cert_file: our certificate with its chain, PEM.
        client_key_file: its key, PEM; None looks for it in ``client_cert_file``.
        verify: False accepts any certificate for any name.
    """

    ca_file: str | None = None
    ca_pem: str | None = None
    client_cert_file: str | None = None
    client_key_file: str | None = None
    verify: bool = True


DEFAULT_TLS = TlsSettings()


class TlsContexts:
    """Contexts by setting, each loaded when it is first asked for.

    Loading the system's certificates takes about 20 ms, so nothing is loaded at start; to find mistakes when
    the configuration is read, ask for the context then.
    """

    def __init__(self) -> None:
        self._contexts: dict[TlsSettings, ssl.SSLContext] = {}

    def get(self, settings: TlsSettings) -> ssl.SSLContext:
        """Return the context for a setting.

        Raises:
            InvalidUpstreamConfig: a file cannot be read, or holds no certificate.
        """
        context = self._contexts.get(settings)
        if context is None:
            context = self._contexts[settings] = load_context(settings)
        return context


def load_context(settings: TlsSettings) -> ssl.SSLContext:
    """Build the client side of TLS for a setting.

    Raises:
        InvalidUpstreamConfig: a file cannot be read, or holds no certificate.
    """
    context = ssl.create_default_context() if settings.verify else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.ca_file is not None:
        try:
            bundle = Path(settings.ca_file).read_text("latin-1")
        except OSError as error:
            raise InvalidUpstreamConfig(f"ca_file cannot be read: {_reason(error)}") from error
        _trust(context, bundle, "ca_file")
    if settings.ca_pem is not None:
        _trust(context, settings.ca_pem, "the inline ca certificate")
    if settings.client_cert_file is not None:
        try:
            # The password callback keeps an encrypted key from asking on the terminal.
            context.load_cert_chain(settings.client_cert_file, settings.client_key_file, password=lambda: "")
        except (OSError, ValueError) as error:
            raise InvalidUpstreamConfig(f"the client certificate cannot be used: {_reason(error)}") from error
    elif settings.client_key_file is not None:
        raise InvalidUpstreamConfig("client_key_file is set without client_cert_file; set both")
    return context


def _trust(context: ssl.SSLContext, bundle: str, what: str) -> None:
    if _PEM_CERTIFICATE not in bundle:
        raise InvalidUpstreamConfig(f"{what} holds no certificate; give a pem bundle with at least one")
    try:
        context.load_verify_locations(cadata=bundle)
    except (ssl.SSLError, ValueError) as error:
        raise InvalidUpstreamConfig(f"{what} is not a valid pem bundle: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    # SSLError is an OSError too, and its strerror repeats file and line of the C source.
    if isinstance(error, ssl.SSLError):
        return (error.reason or "no pem data").lower().replace("_", " ")
    if isinstance(error, OSError):
        return (error.strerror or "unreadable").lower()
    return str(error)
