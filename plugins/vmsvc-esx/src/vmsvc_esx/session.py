"""A session with a server, which all threads share: begun when it is needed, and begun again when it has broken.

Everything here runs in a lane's thread (:class:`vmsvc.driver.Lane`), since a server that hangs answers nothing at all.
Each request has a deadline of its own as well, so that such a thread ends by itself.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import field, frozen

from vmsvc.driver import TIMED_OUT, ConnectionLost, Undetermined, VmsvcError
from vmsvc_esx import faults, trouble
from vmsvc_esx.credentials import Credentials, find
from vmsvc_esx.options import Access
from vmsvc_esx.refusals import Refusals

# A request without any time would be one without any limit.
_LEAST_S = 0.001


@frozen(kw_only=True)
class Place:
    """A session: the server's objects by which everything is asked.

    Attributes:
        content: What the server is (``ServiceContent``).
        view: All its guests and hosts (``ContainerView``).
    """

    content: Any = field(repr=False)
    view: Any = field(repr=False)


class Session:
    """A session with one server.

    Args:
        access: How it is reached.
        config_dir: Where the node's own credentials lie.
        refusals: What the node remembers of logins that were refused.
    """

    def __init__(self, access: Access, config_dir: Path, refusals: Refusals) -> None:
        self.access = access
        self._config_dir = config_dir
        self._refusals = refusals
        self._turn = threading.Lock()
        self._stub: Any = None
        self._place: Place | None = None
        self._is_doubtful = False
        self._moment = threading.local()

    def until(self, deadline: float) -> None:
        """Say how long the calling thread has.

        Args:
            deadline: Until when it may change anything, on the monotonic clock.
        """
        self._moment.deadline = deadline

    @property
    def stub(self) -> Any:
        """What objects of the server are asked by; ``None`` before the first session."""
        return self._stub

    def close(self) -> None:
        """End the session, if there is one, and all connections: servers keep few sessions, each for half an hour."""
        place, self._place = self._place, None
        if place is not None:
            with contextlib.suppress(Exception):
                place.content.sessionManager.Logout()
        if self._stub is not None:
            self._stub.DropConnections()

    @contextlib.contextmanager
    def asking(self, what: str) -> Iterator[Place]:
        """The session, begun if need be; errors become ours."""
        place: Place | None = None
        try:
            place = self._entered()
            yield place
        except VmsvcError:
            raise
        except Exception as error:  # noqa: BLE001 - pyvmomi raises whatever the answer makes it
            raise self._failure(error, place, what) from None

    @contextlib.contextmanager
    def changing(self, what: str) -> Iterator[Place]:
        """The same, for a request that changes something: none is made too late."""
        if time.monotonic() > self._moment.deadline:
            raise Undetermined(f"{self.access.server} answered too late", code=TIMED_OUT)
        with self.asking(what) as place:
            yield place

    def _entered(self) -> Place:
        if not self._turn.acquire(timeout=self.left_s()):
            raise Undetermined(f"{self.access.server} did not let anybody in in time", code=TIMED_OUT)
        try:
            if self._place is not None and self._is_doubtful and not self._is_known(self._place):
                self._place = None
            self._is_doubtful = False
            if self._place is None:
                credentials = find(self.access, self._config_dir)
                if (said := self._refusals.of(self.access, credentials)) is not None:
                    raise trouble.refused(self.access, credentials, said)
                self._place = self._log_in(credentials)
            return self._place
        finally:
            self._turn.release()

    def _is_known(self, place: Place) -> bool:
        """Whether the server still knows a session, whose connection has broken: servers close those that are idle."""
        try:
            return place.content.sessionManager.currentSession is not None
        except Exception as error:
            if not faults.is_fault(error):
                raise
            return False

    def _log_in(self, credentials: Credentials) -> Place:
        try:
            from vmsvc_esx import soap  # noqa: PLC0415 - nobody but who asks a server pays for it
        except ImportError as error:
            raise trouble.no_library(error) from None
        if self._stub is None:
            self._stub = soap.Stub(self.access, self.left_s)
        self._stub.SetSessionId(None)
        content = soap.vim.ServiceInstance("ServiceInstance", self._stub).RetrieveContent()
        try:
            content.sessionManager.Login(credentials.user, credentials.password)
        except Exception as error:
            if not faults.classes(error) & faults.FORBIDDEN:
                raise
            said = faults.words(error)
            self._refusals.keep(self.access, credentials, said)
            raise trouble.refused(self.access, credentials, said) from None
        self._refusals.forget(self.access, credentials)
        kinds = [soap.vim.VirtualMachine, soap.vim.HostSystem]
        view = content.viewManager.CreateContainerView(content.rootFolder, kinds, True)
        return Place(content=content, view=view)

    def left_s(self) -> float:
        """How long the calling thread still has, in seconds; never nothing."""
        return max(getattr(self._moment, "deadline", 0.0) - time.monotonic(), _LEAST_S)

    def _failure(self, error: Exception, place: Place | None, what: str) -> VmsvcError:
        """What an exception of pyvmomi's means. A session that is of no more use is forgotten."""
        if faults.is_fault(error):
            is_over = faults.classes(error) & faults.NO_SESSION or (
                faults.classes(error) & faults.GONE and getattr(error, "obj", None) == getattr(place, "view", error)
            )
            if not is_over:
                return faults.meaning(error, f"{self.access.server}: {what}")
            with self._turn:
                if self._place is place:
                    self._place = None
        elif not trouble.is_break(error):
            return trouble.meaning(error, self.access, self.left_s())
        else:
            self._is_doubtful = True
        said = faults.words(error) if faults.is_fault(error) else trouble.words(error)
        return ConnectionLost(f"the session with {self.access.server} broke: {said}")
