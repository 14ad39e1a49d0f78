"""The one room that calls docker's SDK: typed methods over its untyped client, and its errors as ours.

Everything here runs in a lane's thread (:class:`vmsvc.driver.Lane`), since an engine that hangs answers nothing at all.
Each request has a deadline of its own as well, so that such a thread ends by itself.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, TypeVar

from attrs import evolve

from vmsvc.driver import TIMED_OUT, ConnectionLost, DriverError, GuestDisk, Undetermined, VmsvcError
from vmsvc_docker import disks, failures, hints
from vmsvc_docker.attached import Attached
from vmsvc_docker.containers import Ended, Inspected, Seen, ended, inspected, listed, mapping, unreadable
from vmsvc_docker.options import is_local
from vmsvc_docker.sdk import libraries
from vmsvc_docker.states import UNHEALTHY

T = TypeVar("T")

#: The code of an error about a container that the engine positively does not know.
ABSENT = "driver.absent"
#: The code of an error about something that the engine, asked for it by its id, does not have.
NOT_FOUND = f"driver.http-{HTTPStatus.NOT_FOUND.value}"
#: How long connecting may take, in seconds; the callers' budgets are what bounds a status call.
CONNECT_S = 15.0
# What docker and podman let containers be called.
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", re.ASCII)
# How podman names itself in each answer: `Libpod/4.3.1 (linux)`.
_PODMAN = "Libpod/"
# What is left of a deadline that has passed: a request without any time would be one without any limit.
_LEAST_S = 0.001
# What a proxy says on behalf of an engine that does not answer it.
_NO_ANSWER = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})

# What the SDK raises beside its own: requests' errors are OSErrors, and it believes the shape of whatever is answered.
_ODDITIES = (OSError, ValueError, TypeError, LookupError, AttributeError)


class Connection:
    """A client of one engine.

    Args:
        endpoint: The engine's address.

    Attributes:
        is_podman: Whether the engine is podman, by its latest answer.

    Raises:
        Undetermined: There is no engine to be had, or it refused.
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.is_podman = False
        self._deadline = 0.0
        self._docker, self._requests = libraries()
        failure: Exception
        try:
            told = self._docker.utils.kwargs_from_env({**os.environ, "DOCKER_HOST": endpoint})
            self._client = self._docker.APIClient(**told, version="auto", timeout=CONNECT_S)
        except (*_ODDITIES, self._docker.errors.DockerException) as error:
            failure = error
        else:
            # No proxy stands before a socket of this machine, whatever the environment says.
            self._client.trust_env = not is_local(endpoint)
            self._client.hooks["response"].append(self._take_note)
            return
        raise Undetermined(
            f"no connection to {endpoint}: {failures.words(failure)}",
            code="undetermined.no-connection",
            hint=hints.no_connection(endpoint, failures.system_error(failure)),
        )

    def close(self) -> None:
        """Close the client's connections."""
        self._client.close()

    # --- looking -----------------------------------------------------------------------------------------------------

    def survey(self) -> dict[str, Seen]:
        """All containers by name, in one request however many there are; podman needs two.

        podman's list tells of no health checks, but can be asked for those that say unhealthy.
        """
        with self._asking() as client:
            found = listed(client.containers(all=True))
        if self.is_podman:
            with self._asking() as client:
                unwell = listed(client.containers(filters={"health": UNHEALTHY}))
            found |= {name: evolve(found[name], health=UNHEALTHY) for name in unwell if name in found}
        return found

    def find(self, name: str) -> Inspected | None:
        """One container, with all that the engine tells of it.

        The engine takes the beginning of an id for a name, too. So where it tells of another one, or knows none, its
        list says whether there is one of exactly that name.

        Args:
            name: Its name, exactly.

        Returns:
            What the engine knows; ``None`` where it says that there is no such container.
        """
        if _NAME.fullmatch(name):
            found = self.inspect(name)
            if found is not None and found.seen.name == name:
                return found
        seen = self.survey().get(name)
        return None if seen is None else self.inspect(seen.id)

    def inspect(self, identity: str) -> Inspected | None:
        """All that the engine tells of a container.

        Args:
            identity: Its id, or what the engine takes for one.

        Returns:
            What it tells; ``None`` where it knows none.
        """
        try:
            with self._asking() as client:
                found = inspected(client.inspect_container(identity))
        except DriverError as error:
            if error.code != NOT_FOUND:
                raise
            return None
        return disks.with_block_devices(found) if self.is_podman and is_local(self.endpoint) else found

    def described(self, name: str) -> Inspected:
        """All that the engine tells of a container that must be there.

        Args:
            name: Its name.

        Raises:
            DriverError: There is no such container.
        """
        found = self.find(name)
        if found is None:
            raise absent(name, self.endpoint)
        return found

    def disks(self, container: Inspected) -> tuple[GuestDisk, ...]:
        """The disks of a container; the engine is asked about each of its volumes.

        Args:
            container: The container.
        """
        return disks.of_container(container, self._volume_options, is_local=is_local(self.endpoint))

    def disks_to_be(self, made_of: Mapping[str, Any]) -> tuple[GuestDisk, ...]:
        """The disks that a container will have once it is made.

        Args:
            made_of: What it is to be made of, as the API takes it.
        """
        return disks.of_definition(made_of, self._volume_options, is_local=is_local(self.endpoint))

    def _volume_options(self, name: str) -> Mapping[str, Any]:
        try:
            with self._asking() as client:
                answer = client.inspect_volume(name)
        except DriverError as error:
            if error.code != NOT_FOUND:
                raise
            return {}  # it has gone meanwhile
        if not isinstance(answer, Mapping):
            raise unreadable("a volume", answer)
        return mapping(answer, "Options") if answer.get("Driver") == "local" else {}

    def capacity(self) -> tuple[int, int]:
        """What a container without limits may use: the node's processors, and its memory in bytes."""
        with self._asking() as client:
            answer = client.info()
        if not isinstance(answer, Mapping):
            raise unreadable("the engine's facts", answer)
        cpus, memory = answer.get("NCPU"), answer.get("MemTotal")
        if not isinstance(cpus, int) or not isinstance(memory, int):
            raise unreadable("the node's processors and memory", (cpus, memory))
        return cpus, memory

    # --- changing ----------------------------------------------------------------------------------------------------

    def create(self, name: str, made_of: Mapping[str, Any]) -> Seen:
        """Make a container, without starting it. Its image must be there: this pulls nothing.

        Args:
            name: Its name.
            made_of: What it is made of, as the API takes it.

        Raises:
            DriverError: The engine cannot; it lacks the image, for one.
        """
        try:
            with self._changing() as client:
                answer = client.create_container_from_config(dict(made_of), name)
        except DriverError as error:
            if error.code != NOT_FOUND:
                raise
            image = str(made_of.get("Image", ""))
            raise DriverError(
                f"{name} cannot be made: {error.message}",
                code="driver.no-image",
                hint=f"vmsvc pulls no images: `{hints.by_hand(self.endpoint, 'pull', image)}`, or `docker load`",
            ) from None
        identity = mapping({"answer": answer}, "answer").get("Id")
        if not isinstance(identity, str):
            raise unreadable("a new container", answer)
        return Seen(id=identity, name=name, state="created")

    def start(self, seen: Seen) -> bool:
        """Start a container.

        Args:
            seen: The container.

        Returns:
            Whether this very request has started it; the SDK's own method does not tell.
        """
        try:
            return self._post(seen, "start") != HTTPStatus.NOT_MODIFIED
        except DriverError as error:
            hint = error.hint or hints.not_started(self.endpoint, seen.name)
            raise DriverError(error.message, code=error.code, hint=hint) from None

    def remove(self, seen: Seen) -> None:
        """Remove a container that does not run, with the volumes that were made for it alone.

        Args:
            seen: The container.
        """
        with self._changing() as client:
            client.remove_container(seen.id, v=True)

    def signal(self, seen: Seen, signal: str) -> None:
        """Send a signal to what a container runs, and return.

        The engine's own way to stop would kill after a while, and keep the caller waiting until then.

        Args:
            seen: The container.
            signal: The signal's name or number.
        """
        with self._changing() as client:
            client.kill(seen.id, signal)

    def stop(self, seen: Seen, *, patience_s: int) -> None:
        """Stop a container in the engine's own way, and wait until it has.

        Args:
            seen: The container.
            patience_s: When the engine kills it, in seconds from now; it does so whether or not anybody still waits.
        """
        self._post(seen, "stop", t=patience_s)

    def unpause(self, seen: Seen) -> None:
        """Let a paused container go on.

        Args:
            seen: The container.
        """
        with self._changing() as client:
            client.unpause(seen.id)

    # --- commands inside of containers -------------------------------------------------------------------------------

    def prepare(self, seen: Seen, argv: Sequence[str], environment: Sequence[str]) -> str:
        """Tell the engine of a command that is to be run inside of a container, as its administrator.

        Args:
            seen: The container.
            argv: The program and its arguments.
            environment: ``NAME=VALUE`` words, in addition to the container's own.

        Returns:
            The command's id.
        """
        with self._changing() as client:
            answer = client.exec_create(seen.id, list(argv), user="0", environment=list(environment))
        identity = mapping({"answer": answer}, "answer").get("Id")
        if not isinstance(identity, str):
            raise unreadable("a command", answer)
        return identity

    @contextmanager
    def attached(self, command: str) -> Iterator[Attached]:
        """Run a prepared command, and receive what it prints. It goes on when nobody receives that any more.

        Args:
            command: Its id.
        """
        with self._changing() as client:
            answer = client.post(
                f"{client.base_url}/v{client.api_version}/exec/{command}/start",
                json={"Detach": False, "Tty": False},
                headers={"Connection": "Upgrade", "Upgrade": "tcp"},
                stream=True,
                timeout=client.timeout,
            )
            self._check(answer)
        attached = Attached(answer)
        try:
            yield attached
        finally:
            attached.close()

    def ended(self, command: str) -> Ended | None:
        """How a command has ended; ``None`` where it goes on.

        Args:
            command: Its id.
        """
        with self._asking() as client:
            return ended(client.exec_inspect(command))

    # --- inside ------------------------------------------------------------------------------------------------------

    def guarded(self, work: Callable[[Connection], T], deadline: float) -> T:
        """Do some work with the connection, in time.

        Args:
            work: What to do.
            deadline: Until when it may change anything, on the monotonic clock: whoever asked has given up then, and a
                container that starts minutes later, when its engine goes on, might run on another node by now.

        Returns:
            What it returned.

        Raises:
            ConnectionLost: The connection broke.
            Undetermined: The engine did not answer in its time, or not in a way that can be read.
            DriverError: The engine said clearly that it cannot.
        """
        self._deadline = deadline
        return work(self)

    @contextmanager
    def _asking(self) -> Iterator[Any]:
        """The client, whose request has the time that is left, and whose errors become ours."""
        self._client.timeout = max(self._deadline - time.monotonic(), _LEAST_S)
        try:
            yield self._client
        except (*_ODDITIES, self._docker.errors.DockerException) as error:
            raise self._failure(error) from None

    @contextmanager
    def _changing(self) -> Iterator[Any]:
        """The same, for a request that changes something: none is made too late."""
        if time.monotonic() > self._deadline:
            raise Undetermined(f"{self.endpoint} answered too late", code=TIMED_OUT)
        with self._asking() as client:
            yield client

    def _post(self, seen: Seen, verb: str, **parameters: int) -> int:
        """Have the engine do something to a container; gives the answer's code, which the SDK's methods keep back."""
        with self._changing() as client:
            url = f"{client.base_url}/v{client.api_version}/containers/{seen.id}/{verb}"
            answer = client.post(url, params=parameters, timeout=client.timeout)
            self._check(answer)
        return int(answer.status_code)

    def _check(self, answer: Any) -> None:
        """Raise the SDK's error for an answer that is a refusal."""
        try:
            answer.raise_for_status()
        except self._requests.exceptions.HTTPError as error:
            self._docker.errors.create_api_error_from_http_exception(error)

    def _take_note(self, answer: Any, **_: Any) -> None:
        self.is_podman = answer.headers.get("Server", "").startswith(_PODMAN)

    def _failure(self, error: Exception) -> VmsvcError:
        """What an exception of the SDK means."""
        if isinstance(error, self._docker.errors.APIError) and error.status_code is not None:
            return self._refusal(int(error.status_code), failures.words(error))
        kinds = self._requests.exceptions
        if isinstance(error, kinds.Timeout) or any(isinstance(cause, TimeoutError) for cause in failures.causes(error)):
            return Undetermined(f"{self.endpoint} did not answer in time", code=TIMED_OUT)
        if isinstance(error, (kinds.ConnectionError, kinds.ChunkedEncodingError)):
            return ConnectionLost(f"the connection to {self.endpoint} broke: {failures.words(error)}")
        return Undetermined(
            f"the answer of {self.endpoint} cannot be read: {failures.words(error)}", code="undetermined.unreadable"
        )

    def _refusal(self, status: int, message: str) -> VmsvcError:
        if status in _NO_ANSWER:
            return Undetermined(f"{self.endpoint}: {message}", code=f"undetermined.http-{status:d}")
        return DriverError(f"{self.endpoint}: {message}", code=f"driver.http-{status:d}")


def absent(name: str, endpoint: str) -> DriverError:
    """The error for a container that the engine positively does not know.

    Args:
        name: The container's name.
        endpoint: The engine that was asked.
    """
    return DriverError(
        f"{endpoint} has no container named {name!r}",
        code=ABSENT,
        hint=f"`{hints.by_hand(endpoint, 'ps', '-a')}` tells which names there are",
    )
