"""What a command prints inside of a container, as an engine sends it: both streams in one. Pure.

Source: https://docs.docker.com/reference/api/engine/ (ContainerAttach, Stream format): before each piece stand eight
bytes, of which the first tells the stream and the last four, big-endian, the piece's length.
"""

from __future__ import annotations

import struct

from vmsvc.driver import Kept, Undetermined

_HEAD = struct.Struct(">BxxxL")
_STDIN, _STDOUT, _STDERR = 0, 1, 2


class Demultiplexer:
    r"""Takes the streams apart, however the pieces arrive.

    Attributes:
        out: What was printed to standard output.
        err: What was printed to standard error.

    >>> both = Demultiplexer()
    >>> for piece in (bytes((1, 0, 0, 0, 0, 0, 0, 3)), b"a", b"b\n", bytes((2, 0, 0, 0, 0, 0, 0, 1)) + b"!"):
    ...     both.feed(piece)
    >>> bytes(both.out), bytes(both.err)
    (b'ab\n', b'!')
    """

    def __init__(self) -> None:
        self.out = Kept()
        self.err = Kept()
        self._head = b""
        self._left = 0
        self._stream = _STDOUT

    def feed(self, piece: bytes) -> None:
        """Take what has arrived.

        Args:
            piece: Any number of bytes.

        Raises:
            Undetermined: This is no such stream.
        """
        rest = memoryview(piece)
        while rest:
            if self._left:
                content, rest = rest[: self._left], rest[self._left :]
                self._left -= len(content)
                (self.err if self._stream == _STDERR else self.out).add(bytes(content))
                continue
            missing = _HEAD.size - len(self._head)
            self._head += bytes(rest[:missing])
            rest = rest[missing:]
            if len(self._head) == _HEAD.size:
                self._stream, self._left = _HEAD.unpack(self._head)
                if self._stream not in (_STDIN, _STDOUT, _STDERR):
                    raise Undetermined(
                        f"the engine's answer cannot be read as a command's output: {self._head!r}",
                        code="undetermined.unreadable",
                    )
                self._head = b""
