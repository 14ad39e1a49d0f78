"""The lab: real backends for tests and for the demo, private to whoever starts them.

Nothing in here is part of the installed product. It needs root, Debian's packages and the standard library alone,
so that both pytest and a bare interpreter can use it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType


class LabError(RuntimeError):
    """A backend cannot be had on this machine; the message says why and what would help."""


class Closing(ABC):
    """What a `with` block has begun, and closes at its end."""

    @abstractmethod
    def close(self) -> None:
        """End it in whatever state it is. Doing it twice is harmless."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()
