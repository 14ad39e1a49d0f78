"""Exceptions of docker's SDK and of what it stands on, told apart by what is behind them. Pure."""

from __future__ import annotations

from collections.abc import Iterator


def words(error: Exception) -> str:
    """An exception of the SDK in the engine's words, or the system's, where it has some.

    Args:
        error: The exception.
    """
    if explanation := getattr(error, "explanation", None):
        return str(explanation)
    system = next((cause for cause in causes(error) if isinstance(cause, OSError) and cause.errno), None)
    return (system.strerror if system else "") or str(system or error) or type(error).__name__


def causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and what is behind it: its cause, or the ones that requests and urllib3 put among its arguments.

    Args:
        error: The exception.
    """
    seen: set[int] = set()
    while id(error) not in seen:
        seen.add(id(error))
        yield error
        inner = [each for each in error.args if isinstance(each, BaseException)]
        behind = [error.__cause__, *inner, error.__context__]
        error = next((each for each in behind if each is not None and id(each) not in seen), error)


def system_error(error: Exception) -> int | None:
    """The ``errno`` behind an exception; ``None`` where there is none.

    Args:
        error: The exception.
    """
    return next((cause.errno for cause in causes(error) if isinstance(cause, OSError) and cause.errno), None)
