"""What an action tells while it runs: rows with a spinner on a terminal, lines elsewhere, nothing beside JSON."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from vmsvc.cli.screen import Screen, Stream, plain
from vmsvc.core.execution.report import Progress

if TYPE_CHECKING:
    from typing_extensions import Self


class Silence:
    """Tells nothing; also what the other two are made of. Called from many threads."""

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End, whatever has happened."""

    def __call__(self, progress: Progress) -> None:
        """Tell that a step has begun, or ended.

        Args:
            progress: The step.
        """

    def waiting(self, name: str, holder: str) -> None:
        """Tell that the action on a service waits for another one.

        Args:
            name: The service's name.
            holder: Who acts.
        """

    def ended(self, name: str) -> None:
        """Tell that the action on a service has ended.

        Args:
            name: The service's name.
        """


class Lines(Silence):
    """A line for each beginning and each end of a step.

    Args:
        stream: Where to write.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def __call__(self, progress: Progress) -> None:
        """Write a line.

        Args:
            progress: The step.
        """
        self._stream.write(plain(f"{progress.service}: {progress.step} …{_ending(progress)}"))

    def waiting(self, name: str, holder: str) -> None:
        """Write a line.

        Args:
            name: The service's name.
            holder: Who acts.
        """
        self._stream.write(plain(_wait(name, holder)))


class Rows(Silence):
    """A row for each service, drawn by rich.

    Args:
        action: The action.
        names: The services' names.
        stream: Where to draw.
    """

    def __init__(self, action: str, names: Sequence[str], stream: Stream) -> None:
        from rich import progress  # noqa: PLC0415 - only where it draws

        self._drawing = progress.Progress(
            progress.SpinnerColumn(finished_text=" "),
            progress.TextColumn("{task.description}", markup=False),
            progress.TimeElapsedColumn(),
            console=stream.console(),
            transient=True,
        )
        self._tasks = {name: self._drawing.add_task(f"{name}: {action}", total=1) for name in names}

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._drawing.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Wipe the rows away: the results tell the rest."""
        self._drawing.stop()

    def __call__(self, progress: Progress) -> None:
        """Change the service's row.

        Args:
            progress: The step.
        """
        text = f"{progress.service}: {progress.step}{_ending(progress)}"
        self._drawing.update(self._tasks[progress.service], description=text)

    def waiting(self, name: str, holder: str) -> None:
        """Change the service's row.

        Args:
            name: The service's name.
            holder: Who acts.
        """
        self._drawing.update(self._tasks[name], description=_wait(name, holder))

    def ended(self, name: str) -> None:
        """Stop the row's clock.

        Args:
            name: The service's name.
        """
        self._drawing.update(self._tasks[name], completed=1)


def shown(screen: Screen, action: str, names: Sequence[str], *, verbose: bool) -> Silence:
    """Choose how progress is shown.

    Args:
        screen: Where to print.
        action: The action.
        names: The services' names.
        verbose: Whether a log is printed meanwhile, which rows cannot stand beside.

    Returns:
        A context manager that is called with each step.
    """
    if screen.json:
        return Silence()
    # Drawing takes escape codes, and who wants no colours wants none of them.
    if screen.err.is_terminal and screen.err.is_coloured and not verbose:
        return Rows(action, names, screen.err)
    return Lines(screen.err)


def _wait(name: str, holder: str) -> str:
    return f"{name}: waiting for: {holder}"


def _ending(progress: Progress) -> str:
    if progress.duration_s is None:
        return ""
    return f" {progress.error or 'done'} ({progress.duration_s:.1f} s)"
