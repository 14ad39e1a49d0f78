"""docker's SDK for Python, which takes longer to load than most commands take."""

from __future__ import annotations

import importlib
import sys
import threading
from typing import Any

from vmsvc.driver import Undetermined

_loading = threading.Lock()
_loaded: list[tuple[Any, Any]] = []


def libraries() -> tuple[Any, Any]:
    """docker's SDK, and requests, on which it stands: loaded when they are first needed.

    Returns:
        The modules ``docker`` and ``requests``.

    Raises:
        Undetermined: They cannot be loaded.
    """  # noqa: D403 - docker's name
    with _loading:
        if not _loaded:
            try:
                _loaded.append((importlib.import_module("docker"), importlib.import_module("requests")))
            except ImportError as error:
                raise Undetermined(
                    f"docker's SDK for Python cannot be loaded: {error}",
                    code="undetermined.no-docker",
                    hint=f"install it where vmsvc is: `{sys.executable} -m pip install docker`",
                ) from None
        return _loaded[0]
