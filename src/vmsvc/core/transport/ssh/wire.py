"""What lies below an ssh connection: sockets that do not wait for ever, and paramiko's transport with what it lacks."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import socket
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import paramiko
from paramiko.common import MSG_CHANNEL_REQUEST, cMSG_CHANNEL_REQUEST, cMSG_GLOBAL_REQUEST

from vmsvc.core.deadline import left_until
from vmsvc.core.transport.names import why_not

#: A peer that has vanished is noticed after so many seconds of silence, and so many probes at such a distance in
#: seconds without an answer; see tcp(7).
_KEEPALIVE = {socket.TCP_KEEPIDLE: 15, socket.TCP_KEEPINTVL: 5, socket.TCP_KEEPCNT: 3}

#: And no probes are sent while it has not acknowledged what it was sent: then it is noticed after this time, in
#: milliseconds. Without it the kernel would go on sending for a quarter of an hour.
_UNACKNOWLEDGED_MS = 30_000

#: Where paramiko complains: to nobody, since what it complains of is raised, too.
_LOG = "paramiko.vmsvc"
logging.getLogger(_LOG).addHandler(logging.NullHandler())
logging.getLogger(_LOG).propagate = False

#: A type of keys has several ways to sign: RFC 8332.
_ALGORITHMS = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}

#: Paramiko's inner parts, which its types do not tell.
_INNER: Any = paramiko.Transport


class Transport(paramiko.Transport):
    """A connection of paramiko's, with the exit signals of commands, and without a timer that outlives a failure.

    Attributes:
        exit_signals: By a channel's number, what ended its command, such as ``KILL``; RFC 4254, section 6.10.
        is_silent: Whether somebody has waited on it for the other end in vain. It may have vanished without a word, as
            a guest does that is destroyed.
        heard_at: When something was read last, whatever it was, on the monotonic clock.
    """

    # A cipher that also authenticates takes one pass; paramiko prefers those that take two.
    _preferred_ciphers: tuple[str, ...] = tuple(
        sorted(
            (name for name in _INNER._preferred_ciphers if name.endswith(("ctr", "gcm@openssh.com"))),  # noqa: SLF001
            key=lambda name: not name.endswith("gcm@openssh.com"),
        )
    )
    _preferred_keys: tuple[str, ...] = _INNER._preferred_keys  # noqa: SLF001

    def __init__(self, sock: Any, **options: Any) -> None:
        super().__init__(sock, **options)
        self.set_log_channel(_LOG)
        self.exit_signals: dict[int, str] = {}
        self.is_silent = False
        self.heard_at = time.monotonic()
        self._asking = threading.Lock()
        self._answered = threading.Event()
        self._answered.set()
        inner: Any = self
        inner.packetizer.read_message = self._noting(inner.packetizer.read_message)
        # Whoever opens a connection keeps its deadline; paramiko's own timer would hold up the program's end.
        inner.packetizer.start_handshake = _no_timer

    def prefer(self, types: Sequence[str]) -> None:
        """Ask the server for host keys of these types before others.

        Args:
            types: The types that are pinned for it.
        """
        wanted = {algorithm for kind in types for algorithm in _ALGORITHMS.get(kind, (kind,))}
        self._preferred_keys = tuple(sorted(self._preferred_keys, key=lambda algorithm: algorithm not in wanted))

    @property
    def has_channels(self) -> bool:
        """Whether some of its channels are open."""
        inner: Any = self
        return bool(inner._channels.values())  # noqa: SLF001

    def ask(self, channel: paramiko.Channel, what: str, *fields: str | bool | int) -> None:
        """Ask for something in a channel, such as a command; where it is refused, the channel ends.

        Paramiko's own methods would wait for the answer, and for ever.

        Args:
            channel: The channel.
            what: The type of request: ``exec``, ``shell`` and others; RFC 4254, section 6.
            fields: What belongs to it.
        """
        inner: Any = channel
        inner._event_pending()  # noqa: SLF001
        request = paramiko.Message()
        request.add_byte(cMSG_CHANNEL_REQUEST)
        request.add_int(inner.remote_chanid)
        request.add_string(what)
        request.add_boolean(True)
        inner.transport._send_user_message(_with(request, fields))  # noqa: SLF001

    def ask_host(
        self, what: str, *fields: str | bool | int, budget_s: float, patience_s: float = 0.0
    ) -> paramiko.Message | None:
        """Ask for something that belongs to no channel; RFC 4254, section 4.

        Args:
            what: The type of request, such as ``tcpip-forward``.
            fields: What belongs to it.
            budget_s: How long the answer may take, in seconds; paramiko's own method would wait for ever.
            patience_s: How much longer it may take, in seconds, where the host's system has taken the question: then
                it has not vanished, and its server is slow.

        Returns:
            The answer's fields; ``None`` where it was refused.

        Raises:
            TimeoutError: It was not answered. Where nothing else was heard meanwhile, the other end is silent.
            EOFError: The connection broke.
        """
        inner: Any = self
        began = time.monotonic()
        request = paramiko.Message()
        request.add_byte(cMSG_GLOBAL_REQUEST)
        request.add_string(what)
        request.add_boolean(True)
        with self._asking:  # answers say nothing of their questions: none is asked while one is open
            if self._answered.wait(budget_s):
                self._answered = inner.completion_event = threading.Event()
                inner._send_user_message(_with(request, fields))  # noqa: SLF001
            is_answered = self._answered.wait(left_until(began + budget_s))
            if not is_answered and patience_s and has_arrived(self.sock):
                is_answered = self._answered.wait(patience_s)
            if not is_answered:
                self.is_silent |= self.heard_at < began
                raise TimeoutError
            if not self.is_active():
                raise EOFError
            answer: paramiko.Message | None = inner.global_response
            return answer

    def is_granted(self, channel: paramiko.Channel, *, budget_s: float) -> bool | None:
        """Whether what was asked for last in a channel was granted; ``None`` where nobody has answered.

        Args:
            channel: The channel.
            budget_s: How long to wait for the answer, in seconds.
        """
        inner: Any = channel
        if not inner.event.wait(budget_s):
            self.is_silent = True
            return None
        if not self.is_active():
            return None
        return bool(inner.event_ready)

    def end_input(self, channel: paramiko.Channel) -> None:
        """Tell a command that its input ends.

        ``Channel.shutdown_write`` may do so after the channel's end, for which OpenSSH ends the connection.

        Args:
            channel: The command's channel.
        """
        inner: Any = channel
        with inner.lock:
            if not inner.closed and (message := inner._send_eof()) is not None:  # noqa: SLF001
                inner.transport._send_user_message(message)  # noqa: SLF001

    def _noting(self, read: Callable[[], Any]) -> Callable[[], Any]:
        """Have it noted when something was read: a host that is slow, or prints much, may be long in answering."""

        def noted() -> Any:
            message = read()
            self.heard_at = time.monotonic()
            return message

        return noted

    def _hear_request(self, channel: Any, message: paramiko.Message) -> None:
        """Take note of an exit signal, which paramiko does not know of."""
        request = paramiko.Message(message.get_remainder())
        if request.get_text() != "exit-signal":
            channel._handle_request(message)  # noqa: SLF001
            return
        request.get_boolean()  # whether a reply is wanted; none is
        self.exit_signals[channel.get_id()] = request.get_text()
        channel.status_event.set()

    _channel_handler_table: ClassVar[Mapping[int, Any]] = {
        **_INNER._channel_handler_table,  # noqa: SLF001
        MSG_CHANNEL_REQUEST: lambda channel, message: channel.get_transport()._hear_request(channel, message),  # noqa: SLF001
    }


def connected(host: str, port: int, limit_s: float) -> socket.socket:
    """Connect to the first of a host's addresses that accepts.

    Args:
        host: Its name or address.
        port: The port.
        limit_s: How long all of them together may take, in seconds; looking up the name is not counted.

    Raises:
        OSError: The last address's refusal, or that the name is not known.
    """
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # Python has not even asked
        raise socket.gaierror(socket.EAI_NONAME, why_not(error)) from None
    end = time.monotonic() + limit_s
    refusal: OSError = TimeoutError()
    for number, (family, kind, protocol, _, address) in enumerate(addresses):
        link = socket.socket(family, kind, protocol)
        link.settimeout(max(end - time.monotonic(), 0.001) / (len(addresses) - number))
        try:
            link.connect(address)
        except OSError as error:
            link.close()
            refusal = error
        else:
            link.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
            )  # else each command waits for delayed ACKs: 40 ms
            link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in {**_KEEPALIVE, socket.TCP_USER_TIMEOUT: _UNACKNOWLEDGED_MS}.items():
                link.setsockopt(socket.IPPROTO_TCP, option, value)
            return link
    raise refusal


def has_arrived(link: object) -> bool:
    """Whether the system at the other end has acknowledged all that was sent; never where a jump host stands between.

    Linux tells what is not acknowledged yet by ``SIOCOUTQ``, which is another name of ``TIOCOUTQ``: tcp(7).

    Args:
        link: What a connection goes by.
    """
    if not isinstance(link, socket.socket) or link.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    try:
        waiting = fcntl.ioctl(link, termios.TIOCOUTQ, bytes(4))
    except OSError:
        return False
    return not int.from_bytes(waiting, sys.byteorder)


def jumped(before: Transport, host: str, port: int, limit_s: float) -> paramiko.Channel:
    """A connection that another host makes for us (RFC 4254, section 7.2).

    Args:
        before: The connection to that host.
        host: Where to, as that host knows it.
        port: The port there.
        limit_s: How long it may take, in seconds.
    """
    channel = before.open_channel("direct-tcpip", (host, port), ("", 0), timeout=limit_s)
    end = channel.close

    def end_quietly() -> None:
        with contextlib.suppress(Exception):  # the host before may be gone already; that is no matter any more
            end()

    channel.close = end_quietly  # type: ignore[method-assign]
    return channel


def close(each: Any) -> None:
    """Close a socket, a transport, a channel or a proxy command, whatever state it is in, without waiting.

    Args:
        each: What to close.
    """
    with contextlib.suppress(Exception):
        if isinstance(each, socket.socket):
            each.shutdown(socket.SHUT_RDWR)  # wakes up a thread that reads
        each.close()


@contextlib.contextmanager
def watched(give_up: Callable[[], None], deadline: float) -> Iterator[None]:
    """Give a connection up at a deadline: writing to a host that does not read would wait for ever.

    Args:
        give_up: Closes the connection.
        deadline: When what is done here must be over, on the monotonic clock.
    """
    timer = threading.Timer(deadline - time.monotonic(), give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _with(message: paramiko.Message, fields: Sequence[str | bool | int]) -> paramiko.Message:
    for field in fields:
        if isinstance(field, bool):
            message.add_boolean(field)
        elif isinstance(field, int):
            message.add_int(field)
        else:
            message.add_string(field)
    return message


def _no_timer(timeout: float) -> None:
    del timeout
