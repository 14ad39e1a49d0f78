"""What a service file says about a guest of ESX or vCenter, and how its server is reached. Pure."""

from __future__ import annotations

import re
from typing import Any

from attrs import frozen

from vmsvc.driver import Guest, Value, line, option, path

#: Where servers listen unless the address says otherwise.
HTTPS = 443

_ADDRESS = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::(\d{1,5}))?", re.IGNORECASE | re.ASCII)
_MOST_PORTS = 65535
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_VMX = re.compile(r"\[[^\[\]]+\] ?[^\s/][^\n]*\.vmx")
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_HOST = re.compile(r"[a-z0-9_.:-]+", re.IGNORECASE | re.ASCII)
_SHA1_DIGITS = 40


def _server(raw: Any) -> str:
    value = line.parse(raw).strip()
    if not value:
        raise ValueError("it is empty: name an ESX host or a vCenter")
    if "@" in value:
        raise ValueError("no user belongs here: the credentials have a file of their own (`credentials`)")
    found = _ADDRESS.fullmatch(value)
    if not found or int(found[2] or HTTPS) not in range(1, _MOST_PORTS + 1):
        raise ValueError(f"{raw!r} is not the address of a server, such as esx1.example.com or 192.0.2.7:8443")
    return value


def _uuid(raw: Any) -> str:
    value = line.parse(raw).strip().lower()
    if value and not _UUID.fullmatch(value):
        raise ValueError(f"{raw!r} is not a UUID such as 564d1a2b-0000-4000-8000-00c0ffee0001")
    return value


def _vmx(raw: Any) -> str:
    value = line.parse(raw).strip()
    if value and not _VMX.fullmatch(value):
        raise ValueError(f"{raw!r} is not where a datastore has a guest, such as [datastore1] web/web.vmx")
    return value


def _host(raw: Any) -> str:
    value = line.parse(raw).strip()
    if value and not _HOST.fullmatch(value):
        raise ValueError(f"{raw!r} is not the name of a host, such as esx1.example.com")
    return value


def _thumbprint(raw: Any) -> str:
    value = line.parse(raw).strip().lower().removeprefix("sha256:").replace(":", "")
    if len(value) == _SHA1_DIGITS:
        raise ValueError(f"{raw!r} is an SHA-1 fingerprint, which proves nothing any more: use the SHA-256 fingerprint")
    if value and not _SHA256.fullmatch(value):
        raise ValueError(f"{raw!r} is not an SHA-256 fingerprint: 64 hexadecimal digits, with or without colons")
    return value


server: Value[str] = Value("a host name or an address, with :PORT where that is not 443", _server)
uuid: Value[str] = Value("a UUID", _uuid)
vmx: Value[str] = Value("a path such as [datastore1] web/web.vmx", _vmx)
host: Value[str] = Value("the name of a host, or its address", _host)
thumbprint: Value[str] = Value("an SHA-256 fingerprint", _thumbprint)


@frozen(kw_only=True)
class Access:
    """How a server is reached: where it is, what proves that it is the right one, and who we are.

    Attributes:
        server: Its address, with a port where that is not the usual one.
        credentials: The file that has the user and the password; empty for the node's own.
        ca_file: The certificates of whom to trust; empty for the system's.
        thumbprint: The SHA-256 fingerprint of the one certificate to trust; empty for any that is valid.
    """

    server: str
    credentials: str = ""
    ca_file: str = ""
    thumbprint: str = ""

    @property
    def host(self) -> str:
        """The server's name or address, without a port; of IPv6 without brackets."""
        return self._parts()[0]

    @property
    def port(self) -> int:
        """The server's port."""
        return self._parts()[1]

    def _parts(self) -> tuple[str, int]:
        found = _ADDRESS.fullmatch(self.server)
        assert found is not None
        return found[1].strip("[]"), int(found[2] or HTTPS)


@frozen(kw_only=True, eq=False, repr=False)  # the base compares and shows all fields
class EsxGuest(Guest):
    """A guest of an ESX host, or of a vCenter."""

    server: str = option(
        server,
        inherited=True,
        identifies=True,
        help="The ESX host, or the vCenter, that runs the guest. Where each node has a host of its own: `server@n1`, "
        "`server@n2`.",
    )
    uuid: str = option(
        uuid,
        default="",
        identifies=True,
        help="Which guest it is, whatever its name: its UUID (the BIOS's, or vCenter's instance UUID). A vCenter may "
        "have several guests of one name.",
    )
    vmx: str = option(
        vmx,
        default="",
        identifies=True,
        help="Where its datastore has it. A start registers it there with an ESX host that does not know it.",
    )
    host: str = option(
        host,
        default="",
        help="Of a vCenter: the host that this node is in charge of, by its name in the inventory: `host@n1`, "
        "`host@n2`. A guest that runs on another host is down for this node; without `host`, it is up wherever it "
        "runs.",
    )
    credentials: str = option(
        path,
        default="",
        inherited=True,
        help="The file that has `user` and `password`, in TOML, which nobody else may read; `/etc/vmsvc/esx.toml` when "
        "not given.",
    )
    ca_file: str = option(
        path,
        default="",
        inherited=True,
        help="Who may vouch for the server: certificates, in PEM; those that the system trusts when not given.",
    )
    thumbprint: str = option(
        thumbprint,
        default="",
        inherited=True,
        help="The SHA-256 fingerprint of the server's certificate, where nobody vouches for it.",
    )

    @property
    def access(self) -> Access:
        """How its server is reached."""
        return Access(
            server=self.server, credentials=self.credentials, ca_file=self.ca_file, thumbprint=self.thumbprint
        )

    @property
    def is_local(self) -> bool:
        """Never: vmsvc does not run on ESX, so the guest's disks are no devices of this node."""
        return False
