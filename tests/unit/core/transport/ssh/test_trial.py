"""Trying out what a host grants, where the host keeps everybody waiting."""

import contextlib
import socket
import threading
import time

import paramiko
import pytest

from vmsvc.core.errors import Undetermined
from vmsvc.core.transport.ssh.trial import Trial
from vmsvc.core.transport.ssh.wire import Transport


class Server(paramiko.ServerInterface):
    """Lets everybody in, and answers a request to listen as it is told."""

    def __init__(self, answer):
        self.answer = answer
        self.cancelled = []

    def get_allowed_auths(self, username):
        return "none"

    def check_auth_none(self, username):
        return paramiko.AUTH_SUCCESSFUL

    def check_port_forward_request(self, address, port):
        return self.answer(address, port)

    def cancel_port_forward_request(self, address, port):
        self.cancelled.append((address, port))


@pytest.fixture
def trial_on():
    """Makes a trial on a connection to a server."""
    with contextlib.ExitStack() as ending:

        def make(server):
            ours, theirs = socket.socketpair()
            there = paramiko.Transport(theirs)
            ending.callback(there.close)
            there.add_server_key(paramiko.ECDSAKey.generate())
            there.start_server(event=threading.Event(), server=server)
            here = Transport(ours)
            ending.callback(here.close)
            here.start_client(timeout=10)
            here.auth_none("root")
            return Trial(here, here.close)

        yield make


def test_a_host_that_listens_for_others_is_told_to_stop_it(trial_on):
    server = Server(lambda *_: 4711)
    assert trial_on(server).listens(budget_s=10)
    assert server.cancelled == [("127.0.0.1", 4711)]


def test_a_host_that_listens_for_nobody(trial_on):
    assert not trial_on(Server(lambda *_: False)).listens(budget_s=10)


def test_a_host_that_does_not_answer_is_not_waited_for_for_ever(trial_on):
    silent = threading.Event()
    trial = trial_on(Server(lambda *_: silent.wait(30)))
    began = time.monotonic()
    with pytest.raises(Undetermined, match="does not answer") as caught:
        trial.listens(budget_s=0.5)
    silent.set()
    assert caught.value.code == "undetermined.timeout"
    assert time.monotonic() - began < 2


def test_a_connection_that_breaks_is_told_at_once(trial_on):
    def hang_up(*_):
        threading.current_thread().close()  # the server's own connection
        return False

    began = time.monotonic()
    with pytest.raises(Undetermined, match="the connection broke"):
        trial_on(Server(hang_up)).listens(budget_s=10)
    assert time.monotonic() - began < 5
