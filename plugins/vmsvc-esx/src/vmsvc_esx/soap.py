"""pyvmomi, and its connections as they must be: each has a deadline, and speaks to nobody but the right server.

This is loaded when a server is first asked: pyvmomi takes longer to load than most commands take. It is untyped.
"""

from __future__ import annotations

import hashlib
import http.client
import importlib
import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any

from vmsvc_esx.options import Access

_adapter: Any = importlib.import_module("pyVmomi.SoapAdapter")
_pyvmomi: Any = importlib.import_module("pyVmomi")

vim: Any = _pyvmomi.vim
vmodl: Any = _pyvmomi.vmodl

#: The version of the API that is spoken: that of vSphere 6.0, which all later servers speak, too.
VERSION = "vim.version.version10"


class WrongCertificate(OSError):
    """The server shows another certificate than the one that is trusted.

    Args:
        shown: The SHA-256 fingerprint of what it shows, as hexadecimal digits.
    """

    def __init__(self, shown: str) -> None:
        super().__init__(f"its certificate is another one: {shown}")
        self.shown = shown


class _Link(http.client.HTTPSConnection):
    """A connection that is opened in the time that is left, and checks the fingerprint each time that it is.

    pyvmomi's own check of fingerprints is of no use here: where one has matched, it verifies no later connection.
    """

    def __init__(self, *, left: Callable[[], float], thumbprint: str, **given: Any) -> None:
        super().__init__(**given)
        self._left = left
        self._thumbprint = thumbprint

    def connect(self) -> None:
        """Connect, and send nothing to a stranger."""
        self.timeout = self._left()
        super().connect()
        if self._thumbprint:
            shown = fingerprint(self.sock)
            if shown != self._thumbprint:
                self.close()
                raise WrongCertificate(shown)


class Stub(_adapter.SoapStubAdapter):  # type: ignore[misc] # its base is untyped
    """pyvmomi's way to a server, which threads may share: each has a connection of its own while it asks.

    Args:
        access: How the server is reached.
        left: Tells how many seconds the calling thread has left.
    """

    def __init__(self, access: Access, left: Callable[[], float]) -> None:
        super().__init__(host=access.host, port=access.port, version=VERSION, sslContext=_context(access))
        self.scheme = partial(_Link, left=left, thumbprint=access.thumbprint)
        self._left = left

    def GetConnection(self) -> Any:  # noqa: N802 - pyvmomi's name
        """A connection that was kept, or another one; what it has to do next has the time that is left."""
        connection = super().GetConnection()
        if connection.sock is not None:
            connection.sock.settimeout(self._left())
        return connection


def _context(access: Access) -> ssl.SSLContext:
    """How TLS is spoken with a server. Where a fingerprint is trusted, nobody needs to vouch for the certificate."""
    if access.thumbprint:
        return _trusting()
    return ssl.create_default_context(cafile=access.ca_file or None)


def _trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def fingerprint(link: Any) -> str:
    """The SHA-256 fingerprint of the certificate that a server has shown, as hexadecimal digits.

    Args:
        link: The TLS connection to it.
    """
    return hashlib.sha256(link.getpeercert(binary_form=True) or b"").hexdigest()


def shown_by(access: Access, timeout_s: float) -> str:
    """The fingerprint of the certificate that a server shows, whoever it is; it is sent nothing.

    Args:
        access: How it is reached.
        timeout_s: How long that may take, in seconds.

    Returns:
        The fingerprint, as hexadecimal digits; empty where there is none to be had.
    """
    try:
        with socket.create_connection((access.host, access.port), timeout=timeout_s) as plain:
            plain.settimeout(timeout_s)
            with _trusting().wrap_socket(plain) as link:
                return fingerprint(link)
    except (OSError, ValueError):
        return ""
