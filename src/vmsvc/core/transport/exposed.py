"""Whether others can read what is to be a secret."""

from __future__ import annotations

from pathlib import Path


def why_exposed(file: Path) -> str:
    """Why a private key is not to be used, as ssh(1) sees it; empty where its owner alone may read it.

    Args:
        file: The key's file.
    """
    try:
        mode = file.stat().st_mode & 0o777
    except OSError:
        return ""
    return f"others than its owner may read or write it (mode {mode:04o}), so it is not used" if mode & 0o077 else ""
