"""The bindings of libvirt, loaded once, with what has to be set up before the first connection."""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
from typing import Any

from vmsvc.driver import Undetermined

_loading = threading.Lock()
_loaded: list[Any] = []


def library() -> Any:
    """The bindings of libvirt, loaded and set up when they are first needed.

    Raises:
        Undetermined: They cannot be loaded.
    """
    with _loading:
        if not _loaded:
            try:
                virt: Any = importlib.import_module("libvirt")
            except ImportError as error:
                raise Undetermined(
                    f"libvirt's Python bindings cannot be loaded: {error}",
                    code="undetermined.no-libvirt",
                    hint=_to_install(error),
                ) from None
            virt.registerErrorHandler(lambda _context, _error: None, None)  # else libvirt prints each error, too
            virt.virEventRegisterDefaultImpl()  # before the first connection, or it has neither events nor keepalives
            threading.Thread(target=_run_events, args=(virt,), name="vmsvc libvirt events", daemon=True).start()
            _loaded.append(virt)
        return _loaded[0]


def _to_install(error: ImportError) -> str:
    if error.name == "libvirt":
        return f"install libvirt-python where vmsvc is: `{sys.executable} -m pip install libvirt-python`"
    return "libvirt-python needs libvirt's client library: install the package libvirt0 (libvirt-libs on Fedora, RHEL)"


def _run_events(virt: Any) -> None:
    with contextlib.suppress(virt.libvirtError):  # without events, those who wait for them look now and then
        while True:
            virt.virEventRunDefaultImpl()
