"""The publisher: one file for each service and topic, which is either the old one or the new one."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import tomli
from attrs import frozen

from vmsvc.driver import Node, Publication, UsageError

#: The plugin's own file, in the node's directory of configuration.
FILE = "publish-file.toml"


@frozen
class FilePublisher:
    """Writes publications into a directory.

    Args:
        directory: Where; made when it is not there.
    """

    directory: Path

    @property
    def name(self) -> str:
        """What and where it is, for messages."""
        return f"of files in {self.directory}"

    def publish(self, publication: Publication, *, budget_s: float) -> None:  # noqa: ARG002 - a local disk's time
        """Write ``TOPIC/SERVICE.json``. Whoever reads meanwhile gets the old document or the new one, and all of it."""
        target = self.directory / publication.topic / f"{publication.service}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        # In the same directory, since only there a rename is atomic; hidden, so that nobody takes it for a document.
        temporary = target.with_name(f".{secrets.token_hex(8)}")
        try:
            with temporary.open("x", encoding="utf-8") as file:
                json.dump(publication.document, file, indent=2)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        finally:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()


def configured(node: Node) -> Iterator[FilePublisher]:
    """The publisher that the node's file asks for.

    Args:
        node: The node.

    Yields:
        It; nothing where there is no such file.

    Raises:
        UsageError: The file is wrong.
    """
    path = node.config_dir / FILE
    try:
        table = tomli.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError, tomli.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    directory = table.pop("directory", None)
    if table or not isinstance(directory, str) or not Path(directory).is_absolute():
        raise UsageError(f"{path} must have one key, `directory`, with an absolute path: directory = '/srv/vmsvc'")
    yield FilePublisher(Path(directory))
