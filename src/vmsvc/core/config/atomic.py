"""Files that are either the old ones or the new ones, never something in between."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from vmsvc.core.errors import UsageError, VmsvcError


def write_atomically(
    path: Path, text: str, *, replace: bool = True, mode: int = 0o600, directory_mode: int = 0o755
) -> None:
    """Write a file so that a crash or a full disk leaves the old one intact.

    Mode and owner of the old file are kept. A symbolic link stays, and the file it
    leads to is replaced. Directories that are missing are made.

    Args:
        path: The file.
        text: Its new text.
        replace: Whether a file may be there already.
        mode: The mode of a new file, before the process's umask; its owner's alone when not given.
        directory_mode: The mode of the file's directory, where it has to be made.

    Raises:
        UsageError: The file is there, and may not be replaced.
        VmsvcError: It could not be written, or its directory not made; no file has changed.
    """
    temporary = ""
    _make_directory(Path(os.path.realpath(path)).parent if replace else path.parent, directory_mode)
    try:
        target = Path(os.path.realpath(path)) if replace else path
        # A hidden file in the same directory: a rename there is atomic, and nobody takes it for a service.
        temporary = str(target.parent / f".vmsvc-{os.urandom(8).hex()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - an open descriptor, not a path
            if replace:
                _keep_owner(file.fileno(), target)
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        if replace:
            Path(temporary).replace(target)
            temporary = ""
        else:
            os.link(temporary, target)  # unlike a rename, it fails where somebody else was faster
        _sync_directory(target.parent)
    except FileExistsError:
        raise UsageError(f"{path} is there already", code="usage.exists", hint="choose another name") from None
    except OSError as error:
        raise _failure(f"{path} could not be written", error, "the file is unchanged") from None
    finally:
        if temporary:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()


def _make_directory(directory: Path, mode: int) -> None:
    try:
        directory.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        raise _failure(f"{directory} could not be made", error, "it is to be a directory") from None


def _failure(reason: str, error: OSError, otherwise: str) -> VmsvcError:
    hint = "become root" if isinstance(error, PermissionError) else otherwise
    return VmsvcError(f"{reason}: {error.strerror}", code="failed.write", hint=hint)


def _keep_owner(descriptor: int, target: Path) -> None:
    try:
        old = target.stat()
    except FileNotFoundError:
        return
    new = os.fstat(descriptor)
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))


def _sync_directory(directory: Path) -> None:
    """Make the new name durable; the file itself is complete, so a file system that cannot do it is no failure."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
