"""What it means when a server cannot be asked: nobody listens, nobody answers, or it is not who it should be."""

from __future__ import annotations

import socket
import sys

from vmsvc.driver import TIMED_OUT, Undetermined
from vmsvc_esx.credentials import Credentials
from vmsvc_esx.options import Access


def is_break(error: Exception) -> bool:
    """Whether a connection that was there has broken, so that another one may do.

    Args:
        error: What pyvmomi raised.
    """
    import ssl  # noqa: PLC0415 - loaded by now

    return isinstance(error, (ConnectionResetError, ConnectionAbortedError, BrokenPipeError, ssl.SSLEOFError))


def words(error: BaseException) -> str:
    """An exception in the system's words.

    Args:
        error: The exception.
    """
    told = (error.strerror if isinstance(error, OSError) and error.errno else "") or str(error)
    return " ".join(told.split()) or type(error).__name__


def meaning(error: Exception, access: Access, left_s: float) -> Undetermined:
    """What an exception means that is no answer.

    Args:
        error: What pyvmomi raised.
        access: How the server is reached.
        left_s: How long it may take to find out more, in seconds.
    """
    import http.client  # noqa: PLC0415 - loaded by now, as the others
    import ssl  # noqa: PLC0415

    from vmsvc_esx import soap  # noqa: PLC0415

    where = access.server
    if isinstance(error, soap.WrongCertificate):
        return Undetermined(
            f"{where} shows another certificate than the one that is trusted: its SHA-256 fingerprint is "
            f"{colons(error.shown)}",
            code="undetermined.certificate",
            hint=f"if it was renewed, set `thumbprint`: {_how_to_compare()}; else somebody stands in between",
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        shown = soap.shown_by(access, left_s)
        told = f": its SHA-256 fingerprint is {colons(shown)}" if shown else ""
        return Undetermined(
            f"nobody who is trusted vouches for the certificate of {where} ({error.verify_message}){told}",
            code="undetermined.certificate",
            hint=f"name who signed it (`ca_file`), or trust that very certificate (`thumbprint`): {_how_to_compare()}",
        )
    if isinstance(error, TimeoutError):
        return Undetermined(f"{where} did not answer in time", code=TIMED_OUT)
    if isinstance(error, (ConnectionRefusedError, socket.gaierror)) or _is_network(error):
        return Undetermined(
            f"no connection to {where}: {words(error)}",
            code="undetermined.no-connection",
            hint="is `server` right, and the host up and reachable from here?",
        )
    if isinstance(error, ssl.SSLError):
        return Undetermined(
            f"{where} does not speak TLS as it should: {words(error)}", code="undetermined.no-connection"
        )
    kind = f"{type(error).__name__}: " if isinstance(error, http.client.HTTPException) else ""
    return Undetermined(
        f"the answer of {where} cannot be read: {kind}{words(error)}",
        code="undetermined.unreadable",
        hint="is `server` an ESX host or a vCenter?",
    )


def _is_network(error: Exception) -> bool:
    import ssl  # noqa: PLC0415 - loaded by now

    return isinstance(error, OSError) and error.errno is not None and not isinstance(error, ssl.SSLError)


def refused(access: Access, credentials: Credentials, said: str) -> Undetermined:
    """The error for a login that was refused. It tells the user, and where the password is from.

    Args:
        access: How the server is reached.
        credentials: What was offered.
        said: What the server said.
    """
    return Undetermined(
        f"{access.server} does not let the user {credentials.user!r} in: {said}",
        code="undetermined.refused",
        hint=f"user and password are from {credentials.origin}; ESXi locks an account for a while after five failures, "
        "so the same password is not tried again for a minute; a corrected one is tried at once",
    )


def no_library(error: ImportError) -> Undetermined:
    """The error where pyvmomi is not there.

    Args:
        error: What its import raised.
    """
    return Undetermined(
        f"VMware's SDK for Python cannot be loaded: {error}",
        code="undetermined.no-pyvmomi",
        hint=f"install it where vmsvc is: `{sys.executable} -m pip install pyvmomi`",
    )


def colons(digits: str) -> str:
    """A fingerprint as openssl and vSphere's clients show it.

    Args:
        digits: Hexadecimal digits.

    >>> colons("8f01")
    '8F:01'
    """
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2)).upper()


def _how_to_compare() -> str:
    return "compare it with `openssl x509 -noout -fingerprint -sha256 -in /etc/vmware/ssl/rui.crt` on the host"
