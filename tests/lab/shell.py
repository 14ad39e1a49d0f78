"""vmsvc at a shell, on a root of its own, with services whose guests are those of the lab's libvirtd."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests import documents

NODE = "n1"


class Shell:
    """Runs vmsvc on a root of its own, as somebody at a shell would."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = {**os.environ, "VMSVC_ROOT": str(root), "VMSVC_NODENAME": NODE}
        (root / "etc/vmsvc/services").mkdir(parents=True)

    def service(self, name, guest, *lines, nodes=NODE):
        text = (
            f"[DEFAULT]\nnodes = {nodes}\n[container#1]\ntype = kvm\nname = {guest.name}\nuri = {guest.libvirtd.uri}\n"
        )
        self.file(name, text + "".join(f"{line}\n" for line in lines))

    def file(self, name, text):
        (self.root / f"etc/vmsvc/services/{name}.conf").write_text(text)

    def run(self, *words, timeout=120):
        return subprocess.run(
            [sys.executable, "-m", "vmsvc", *words],
            env=self.environment, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip

    def run_as_nobody(self, *words, timeout=120):
        """The same, by a user who may do nothing in particular."""
        return subprocess.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-m", "vmsvc", *words],
            env=self.environment, capture_output=True, text=True, timeout=timeout, check=False, cwd="/",
        )  # fmt: skip

    def json(self, *words: str, code: int = 0) -> Any:
        """The document that a command answers with, which is what its published schema says."""
        done = self.run(*words, "--format", "json")
        assert done.returncode == code, done.stderr + done.stdout
        return documents.checked(done.stdout)

    def popen(self, *words):
        return subprocess.Popen(
            [sys.executable, "-m", "vmsvc", *words],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def statuses(self, *names, code=0):
        """Each service's availability, and the state and evidence of its first resource."""
        found = {}
        for service in self.json("status", *names, code=code)["services"]:
            resource = service["instances"][0]["resources"][0]
            found[service["name"]] = (service["avail"], resource["state"], resource["evidence"]["detail"])
        return found


def ok(done):
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout
