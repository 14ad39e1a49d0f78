"""An initramfs as a value: files put in by path, written out as one compressed archive the kernel unpacks.

The archive is the "newc" form of cpio, which is simple enough to write here: no tool to install, no root needed,
and the same files always give the same bytes.
"""

from __future__ import annotations

import gzip
import os
import re
import stat
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from lab import LabError

_LIBRARY = re.compile(r"(/\S+) \(0x[0-9a-f]+\)")


class Initramfs:
    """Files, directories and links of a small root file system; parent directories come by themselves."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[int, bytes]] = {}

    def directory(self, path: str, mode: int = 0o755) -> None:
        """Add a directory and those above it."""
        parent = path.rpartition("/")[0]
        if parent and parent not in self._entries:
            self.directory(parent)
        self._entries[path] = (stat.S_IFDIR | mode, b"")

    def file(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Add a plain file."""
        self._parent_of(path)
        self._entries[path] = (stat.S_IFREG | mode, data)

    def program(self, path: str, source: Path) -> None:
        """Add a script or a statically linked program."""
        self.file(path, source.read_bytes(), 0o755)

    def link(self, path: str, target: str) -> None:
        """Add a symbolic link."""
        self._parent_of(path)
        self._entries[path] = (stat.S_IFLNK | 0o777, target.encode())

    def linked_program(self, path: str, source: Path, *, root: Path = Path("/")) -> None:
        """Add a dynamically linked program together with the shared libraries that it needs.

        They are those of another system's root where that has them, else this machine's.
        """
        self.program(path, source)
        for library in shared_libraries(source, root):
            inside = library.relative_to(root) if library.is_relative_to(root) else library.relative_to("/")
            self.program(str(inside), library)

    def kernel_modules(self, tree: Path, names: Iterable[str]) -> None:
        """Add kernel modules and what they depend on; the file names sort in loading order."""
        for number, source in enumerate(modules_in_order(tree, names)):
            self.file(f"lib/modules/{number:02d}-{source.name}", source.read_bytes())

    def archive(self) -> bytes:
        """Everything, as the kernel wants it."""
        chunks: list[bytes] = []
        entries = [*sorted(self._entries.items()), ("TRAILER!!!", (0, b""))]
        for number, (path, (mode, data)) in enumerate(entries, 1):
            name = path.encode() + b"\0"
            links = 2 if stat.S_ISDIR(mode) else 1
            fields = (number, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(name), 0)
            head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
            chunks += [head, b"\0" * (-len(head) % 4), data, b"\0" * (-len(data) % 4)]
        return gzip.compress(b"".join(chunks), compresslevel=3, mtime=0)

    def _parent_of(self, path: str) -> None:
        parent = path.rpartition("/")[0]
        if parent and parent not in self._entries:
            self.directory(parent)


def shared_libraries(program: Path, root: Path = Path("/")) -> list[Path]:
    """The shared libraries that the loader of this machine would map for a program of a system with that root."""
    places = [str(root / place) for place in ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu")]
    environment = {**os.environ, "LD_LIBRARY_PATH": ":".join(places)}
    answer = subprocess.run(
        ["ldd", str(program)], capture_output=True, text=True, timeout=30, check=False, env=environment
    )
    if answer.returncode != 0 or "not found" in answer.stdout:
        raise LabError(f"{program} cannot be loaded on this machine:\n{answer.stdout}{answer.stderr}")
    return sorted({Path(path) for path in _LIBRARY.findall(answer.stdout)})


def modules_in_order(tree: Path, names: Iterable[str]) -> Iterator[Path]:
    """Module files below a kernel's module tree, each after those that it depends on; built-in ones need no file."""
    files = {_module(path.stem): path for path in tree.rglob("*.ko")}
    built_in = {_module(Path(line).stem) for line in (tree / "modules.builtin").read_text().split()}
    seen: set[str] = set()

    def visit(name: str) -> Iterator[Path]:
        if name in seen or name in built_in:
            return
        seen.add(name)
        if name not in files:
            raise LabError(f"the kernel in {tree} has no module {name}")
        for needed in _depends(files[name]):
            yield from visit(needed)
        yield files[name]

    for name in names:
        yield from visit(_module(name))


def _module(name: str) -> str:
    return name.replace("-", "_")


def _depends(module: Path) -> list[str]:
    """A module names its direct dependencies in its own `depends=` string."""
    found = re.search(rb"\0depends=([\w,-]*)\0", module.read_bytes())
    return [_module(name) for name in found[1].decode().split(",") if name] if found else []
