"""Who we are to a server: from the environment, or from a file that nobody else may read.

A password is kept by nobody: it is read when somebody logs in, and handed over.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from vmsvc.driver import Undetermined
from vmsvc_esx.options import Access

#: What the node's own file is called, in its directory of configuration.
FILE = "esx.toml"
#: What the environment may say instead.
USER, PASSWORD = "VMSVC_ESX_USER", "VMSVC_ESX_PASSWORD"

_CODE = "undetermined.credentials"


@frozen(kw_only=True)
class Credentials:
    """A user and a password.

    Attributes:
        user: The user.
        password: The password; it is never shown.
        origin: Where they are from, for messages.
    """

    user: str
    password: str = field(repr=False)
    origin: str


def find(access: Access, config_dir: Path, environment: Mapping[str, str] = os.environ) -> Credentials:
    """Read the credentials for a server.

    Args:
        access: How it is reached.
        config_dir: Where the node's own file lies.
        environment: What may say them instead of any file.

    Returns:
        The credentials: the environment's where it has both; else those of the file, of the server's own table where
        there is one.

    Raises:
        Undetermined: There are none, or they may not be used; the message says why.
    """
    if USER in environment and PASSWORD in environment:
        return Credentials(
            user=environment[USER], password=environment[PASSWORD], origin=f"the environment ({USER}, {PASSWORD})"
        )
    file = Path(access.credentials) if access.credentials else config_dir / FILE
    content = _read(file, access)
    own = content.get(access.server, content.get(access.host, {}))
    if not isinstance(own, Mapping):
        raise _unusable(f"{file}: {access.server!r} is no table", _how_to(file, access))
    found = {key: own.get(key, content.get(key)) for key in ("user", "password")}
    for key, value in found.items():
        if not isinstance(value, str) or not value:
            raise _unusable(f"{file} does not say which {key} to use for {access.server}", _how_to(file, access))
    return Credentials(user=str(found["user"]), password=str(found["password"]), origin=str(file))


def _read(file: Path, access: Access) -> Mapping[str, Any]:
    """What a file says, once it is certain that nobody else can read it.

    What is wrong with its text is told by its place alone: the text itself is nobody's business.
    """
    import tomli  # noqa: PLC0415 - only who logs in pays for it

    try:
        with file.open("rb") as opened:
            status = os.fstat(opened.fileno())
            if stat.S_IMODE(status.st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
                raise _unusable(f"{file} can be read by others than its owner", f"`chmod 600 {file}`")
            if status.st_uid not in (0, os.geteuid()):
                raise _unusable(f"{file} belongs to another user", f"`chown root {file}`")
            return tomli.loads(opened.read().decode())
    except FileNotFoundError:
        raise _unusable(f"there are no credentials for {access.server}: no {file}", _how_to(file, access)) from None
    except OSError as error:
        raise _unusable(f"{file} cannot be read: {error.strerror or error}", "run it as root") from None
    except (tomli.TOMLDecodeError, UnicodeDecodeError) as error:
        place = str(error).rpartition("(at ")[2].rstrip(")") if "(at " in str(error) else "its bytes"
        raise _unusable(f"{file} is not TOML ({place})", 'each value is in quotes: user = "root"') from None


def _how_to(file: Path, access: Access) -> str:
    return (
        f'write {file}, mode 600, with user = "…" and password = "…", or with a table [{_key(access.server)}] that '
        f"has them; or set {USER} and {PASSWORD}"
    )


def _key(server: str) -> str:
    return f'"{server}"'


def _unusable(message: str, hint: str) -> Undetermined:
    return Undetermined(message, code=_CODE, hint=hint)
