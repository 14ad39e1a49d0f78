"""What stands before the simulator of vSphere: TLS, a record of the requests, and troubles that it cannot make itself.

It passes each request on as it is, until it is told otherwise:

    gateway.spoil = relay.garbage          # what becomes of each answer, whose connection is closed then
    gateway.change = lambda answer: ...    # what else the simulator says
    gateway.answers["ShutdownGuest"] = ok  # what answers instead of the simulator
    with gateway.down(): ...               # nobody listens
    gateway.forget_sessions()              # as when the real one is restarted
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import re
import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from lab import Closing, LabError
from lab.relay import Spoil

#: A SOAP request's method and what it is about: `<PowerOnVM_Task …><_this …>vm-57</_this>`; the prefixes are pyvmomi's.
_METHOD = re.compile(rb"<\w*:?Body>\s*<(\w+)[^>]*>\s*<_this[^>]*>([^<]+)</_this>")
#: Given the request's body, an HTTP status and a body; `None` to pass it on.
Answer = Callable[[bytes], "tuple[int, str] | None"]

_ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>'
    "{}</soapenv:Body></soapenv:Envelope>"
)


def done(method: str) -> tuple[int, str]:
    """The answer that a method without a result has been done."""
    return 200, _ENVELOPE.format(f'<{method}Response xmlns="urn:vim25"/>')


def result(method: str, kind: str, reference: str) -> tuple[int, str]:
    """The answer of a method whose result is a reference to an object, such as a task."""
    return 200, _ENVELOPE.format(
        f'<{method}Response xmlns="urn:vim25"><returnval type="{kind}">{reference}</returnval></{method}Response>'
    )


def fetched(kind: str, content: str) -> tuple[int, str]:
    """The answer to a question for one property, as pyvmomi asks it (`Fetch`)."""
    return 200, _ENVELOPE.format(
        f'<FetchResponse xmlns="urn:vim25"><returnval xsi:type="{kind}">{content}</returnval></FetchResponse>'
    )


def fault(kind: str, words: str = "", more: str = "") -> tuple[int, str]:
    """The answer that a method cannot be done, by a fault of vSphere's."""
    detail = f'<{kind}Fault xsi:type="{kind}" xmlns="urn:vim25">{more}</{kind}Fault>'
    return 500, _ENVELOPE.format(
        f"<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>{words}</faultstring>"
        f"<detail>{detail}</detail></soapenv:Fault>"
    )


def no_session() -> tuple[int, str]:
    """The answer to who has not logged in, or not since the server was restarted."""
    more = '<object type="Folder">group-d1</object><privilegeId>System.View</privilegeId>'
    return fault("NotAuthenticated", "The session is not authenticated.", more)


class Gateway(Closing):
    """A TLS server at a port of loopback; `target` is where requests go."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.target = ("127.0.0.1", 0)
        self.spoil: Spoil | None = None
        self.change: Spoil | None = None
        self.answers: dict[str, Answer] = {}
        self.requests: list[str] = []
        self.fingerprint = ""
        self._port = 0
        self._server: socketserver.ThreadingTCPServer | None = None
        self._open: set[socket.socket] = set()
        self._forgotten: set[str] = set()
        self._sessions: set[str] = set()

    def __enter__(self) -> Gateway:  # noqa: PYI034 - Self is younger than Python 3.10
        """Make a certificate, and listen."""
        self.renew()
        self._listen()
        return self

    def close(self) -> None:
        """Close every connection. Doing it twice is harmless."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    @property
    def address(self) -> str:
        """Where it listens: a host and a port."""
        return f"127.0.0.1:{self._port}"

    @property
    def certificate(self) -> Path:
        """The certificate that it shows, which has signed itself."""
        return self.directory / "certificate.pem"

    def renew(self) -> None:
        """Make another certificate; connections from now on show it."""
        if shutil.which("openssl") is None:
            raise LabError("openssl is missing: ./quickstart installs what the lab needs")
        key = self.directory / "key.pem"
        names = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
        words = ("-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", *names)
        argv = ["openssl", "req", *words, "-keyout", str(key), "-out", str(self.certificate)]
        subprocess.run(argv, check=True, capture_output=True)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(self.certificate, key)
        shown = ssl.PEM_cert_to_DER_cert(self.certificate.read_text())
        self.fingerprint = hashlib.sha256(shown).digest().hex(":").upper()

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        """Nobody listens, and the connections that there were are broken."""
        self.close()
        try:
            yield
        finally:
            self._listen()

    def forget_sessions(self) -> None:
        """Who has logged in so far has to do it again."""
        self._forgotten |= self._sessions

    def _listen(self) -> None:
        gateway = self

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """Clients that break off are what this is for."""

        class Handler(_Handler):
            owner = gateway

        self._server = Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    # --- what the handlers ask ---------------------------------------------------------------------------------------

    def secured(self, plain: socket.socket) -> ssl.SSLSocket:
        """A client's connection, once it has agreed on TLS."""
        link = self._tls.wrap_socket(plain, server_side=True)
        self._open.add(link)
        return link

    def gone(self, link: socket.socket) -> None:
        """A client's connection has ended."""
        self._open.discard(link)
        link.close()

    def answer(self, verb: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """What a request is answered: a status, headers and a body."""
        found = _METHOD.search(body)
        method, about = (found[1].decode(), found[2].decode()) if found else ("", "")
        if method:
            self.requests.append(method)
        if headers.get("Cookie", "").partition(";")[0] in self._forgotten and method != "Login":
            status, text = no_session()
            return status, {}, text.encode()
        for name in (f"{method} {about}", method, "*"):
            instead = self.answers[name](body) if name in self.answers else None
            if instead is not None:
                return instead[0], {}, instead[1].encode()
        return self._passed_on(verb, path, headers, body)

    def _passed_on(
        self, verb: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        link = http.client.HTTPConnection(*self.target)
        try:
            kept = {key: value for key, value in headers.items() if key in ("Cookie", "SOAPAction", "Content-Type")}
            link.request(verb, path, body, kept)
            answer = link.getresponse()
            cookie = answer.getheader("Set-Cookie")
            if cookie:
                self._sessions.add(cookie.partition(";")[0])
            told = answer.read()
            return answer.status, {"Set-Cookie": cookie} if cookie else {}, self.change(told) if self.change else told
        finally:
            link.close()


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits for a delayed ACK: 40 ms
    owner: Gateway

    def setup(self) -> None:
        """Agree on TLS in the connection's own thread: a client that is slow with it holds up no other."""
        self.request = self.owner.secured(self.request)
        super().setup()

    def finish(self) -> None:
        """Forget the connection."""
        with contextlib.suppress(OSError):
            super().finish()
        self.owner.gone(self.request)

    def do_GET(self) -> None:
        """Answer a request for a document, such as which versions of the API there are."""
        self.do_POST()

    def do_POST(self) -> None:
        """Answer one request."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            status, more, answer = self.owner.answer(self.command, self.path, dict(self.headers.items()), body)
        except (OSError, http.client.HTTPException):
            self.close_connection = True  # as a server that ends in the middle of it
            return
        self.send_response(status)
        for key, value in {"Content-Type": "text/xml; charset=utf-8", **more}.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        spoil = self.owner.spoil
        self.wfile.write(spoil(answer) if spoil else answer)
        self.close_connection = spoil is not None

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base's name
        """Print nothing."""
