"""Builds what the lab boots from Debian packages, once.

Packages are downloaded and only unpacked, never installed. What is built lies in a cache under a name derived from its
inputs, and gets that name when it is complete.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lab import LabError


def default_cache() -> Path:
    """Where images are kept: $VMSVC_LAB_CACHE, or a git-ignored place in the checkout."""
    chosen = os.environ.get("VMSVC_LAB_CACHE")
    return Path(chosen) if chosen else Path(__file__).resolve().parent.parent / ".quickstart" / "lab"


def built(final: Path, build: Callable[[Path], object], *, refresh: bool = False) -> Path:
    """What lies in a cache under a name that tells its inputs; where it does not yet, it is built now.

    `build` is given an empty directory, and makes `result` in it. It gets its name when it is complete.
    """
    if final.exists() and not refresh:
        return final
    final.parent.mkdir(parents=True, exist_ok=True)
    with _only_builder(final.parent):
        if refresh:
            shutil.rmtree(final, ignore_errors=True)
        if not final.exists():
            work = Path(tempfile.mkdtemp(prefix=".building-", dir=final.parent))
            try:
                build(work)
                (work / "result").rename(final)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    return final


@contextlib.contextmanager
def _only_builder(cache: Path) -> Iterator[None]:
    """One builder at a time; what a killed one left is removed by the next."""
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in cache.glob(".building-*"):
            shutil.rmtree(left, ignore_errors=True)
        yield


def unpack(work: Path, packages: Callable[[], Sequence[str]], *, manifest: Path) -> Path:
    """Download packages, note what they were, and unpack them into a directory.

    Their names are asked for again where apt knows nothing yet.
    """
    command = ["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root"]
    try:
        run([*command, *packages()], cwd=work)
    except LabError:
        run(["apt-get", "update", "-qq", "-o", "DPkg::Lock::Timeout=600"])
        run([*command, *packages()], cwd=work)
    found = sorted(work.glob("*.deb"))
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}
    manifest.write_text(json.dumps(digests, indent=2) + "\n")
    for package in found:
        run(["dpkg-deb", "-x", package, work / "unpacked"])
    return work / "unpacked"


def stands_for(meta: str) -> list[str]:
    """The packages that a meta package of Debian depends on; itself where apt knows nothing yet."""
    return re.findall(r"Depends: (\S+)", run(["apt-cache", "depends", meta], check=False)) or [meta]


def run(argv: Sequence[str | Path], *, cwd: Path | None = None, check: bool = True) -> str:
    """Run a command and return what it printed; an exit code other than 0 is an error if `check`."""
    try:
        done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    except FileNotFoundError as error:
        raise LabError(f"{error.filename} is missing: ./quickstart installs what the lab needs") from None
    except subprocess.TimeoutExpired:
        raise LabError(f"{' '.join(map(str, argv))}: not done after 300 s") from None
    if check and done.returncode != 0:
        raise LabError(f"{' '.join(map(str, argv))}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout
