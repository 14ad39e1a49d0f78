"""A guest's agent without a guest: it runs what it is asked to on this machine, as qemu-ga does in a guest.

How it behaves and what it says was seen of qemu-ga 7.2.22 behind libvirt 9.0.0: that a command has ended only when
nobody holds its output open any more, that it forgets a command once it has told of its end, and its words of error.
"""

from __future__ import annotations

import base64
import json
import subprocess
import threading
import time

import pytest
from vmsvc_kvm.seen import Seen

from vmsvc.driver import DriverError, Undetermined

RUNNING = 1


class StandIn:
    """In the place of a `Connection`, with one guest whose agent runs on this machine.

    `shell` is what the guest has as /bin/sh. `state` and `channel` are what libvirt tells of the guest. `say` answers in
    the agent's place: by a command's name, a text or an error.
    """

    def __init__(self, shell="/bin/sh"):
        self.shell = shell
        self.state = (RUNNING, 1)
        self.channel = "connected"
        self.say = {}
        self.asked = []
        self._running = {}
        self._started = []

    def guarded(self, work, _deadline):
        return work(self)

    def close(self):
        pass

    def find(self, _name):
        return None if self.state is None else Seen(state=self.state[0], reason=self.state[1], uuid="u")

    def agent_channel(self, _name):
        return self.channel

    def ask_agent(self, _name, request, _timeout_s):
        asked = json.loads(request)
        command, arguments = asked["execute"], asked.get("arguments", {})
        self.asked.append(command)
        if command in self.say:
            said = self.say[command]
            if isinstance(said, Exception):
                raise said
            return said(arguments) if callable(said) else said
        if self.state is None or self.state[0] != RUNNING:
            raise DriverError("libvirt error 55: Requested operation is not valid: domain is not running")
        if self.channel != "connected":
            raise Undetermined("libvirt error 86: Guest agent is not responding: QEMU guest agent is not connected")
        answer = getattr(self, command.replace("-", "_"))(
            **{key.replace("-", "_"): arguments[key] for key in arguments}
        )
        return json.dumps({"return": answer})

    def guest_ping(self):
        return {}

    def guest_exec(self, path, arg, capture_output):
        argv = [word.replace("/bin/sh", self.shell) for word in (path, *arg)]
        pipe = subprocess.PIPE if capture_output else subprocess.DEVNULL
        try:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, cwd="/")
        except OSError as error:
            raise _refusal("guest-exec", f"Failed to execute child process “{path}” ({error.strerror})") from None
        self._started.append(process)
        self._running[process.pid] = process, [_Reader(process.stdout), _Reader(process.stderr)]
        return {"pid": process.pid}

    def guest_exec_status(self, pid):
        if pid not in self._running:
            raise DriverError(
                "libvirt error 1: internal error: unable to execute QEMU agent command 'guest-exec-status': Invalid "
                "parameter 'pid'"
            )
        process, (out, err) = self._running[pid]
        if process.poll() is None or not (out.has_ended and err.has_ended):
            return {"exited": False}
        del self._running[pid]
        code = process.returncode
        answer = {"exited": True, **({"signal": -code} if code < 0 else {"exitcode": code})}
        for name, reader in (("out", out), ("err", err)):
            if reader.data:
                answer |= {f"{name}-data": base64.b64encode(reader.data).decode(), f"{name}-truncated": False}
        return answer

    def guest_info(self):
        return {"version": "7.2.22", "supported_commands": [{"name": "guest-exec", "enabled": True}]}

    def be_silent(self, command, seconds):
        """Say nothing to a command for so long; then libvirt speaks for the agent."""

        def wait(_arguments):
            time.sleep(seconds)
            raise Undetermined("libvirt error 86: Guest agent is not responding: Guest agent not available for now")

        self.say[command] = wait

    def forget(self):
        """What a restart of the agent does: commands go on, and it knows of none."""
        self._running.clear()

    def end(self):
        """End what still runs of it."""
        for process in self._started:
            process.kill()
            process.wait()


class _Reader:
    """Reads a pipe until nobody holds it open."""

    def __init__(self, pipe):
        self.data = b""
        self.has_ended = pipe is None
        if pipe is not None:
            threading.Thread(target=self._read, args=(pipe,), daemon=True).start()

    def _read(self, pipe):
        with pipe:
            self.data = pipe.read()  # to its end, which is when nobody holds it any more
        self.has_ended = True


def _refusal(command, why):
    return DriverError(
        f"libvirt error 1: internal error: unable to execute QEMU agent command '{command}': Guest agent command failed, "
        f"error was '{why}'"
    )


@pytest.fixture
def connection():
    """A connection to a guest whose agent runs on this machine, in this machine's /bin/sh."""
    made = StandIn()
    yield made
    made.end()


@pytest.fixture
def connection_with():
    """Makes one whose guest has another shell."""
    made = []

    def make(shell):
        made.append(StandIn(shell))
        return made[-1]

    yield make
    for one in made:
        one.end()
