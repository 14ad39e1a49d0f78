"""A real dockerd of one's own, beside whatever the machine already runs: see `lab.engine`."""

from __future__ import annotations

from collections.abc import Sequence

from lab.engine import PrivateEngine


class PrivateDockerd(PrivateEngine):
    """One private dockerd, with the containerd that it starts, and its containers."""

    programs = ("dockerd", "containerd", "runc", "docker")
    covers = {"run": "/run", "etc": "/etc/docker"}  # noqa: RUF012 - the base says that nobody changes it

    def command(self) -> Sequence[str]:
        """Without a bridge and rules for it: no container of the lab needs a network."""
        words = {
            "data-root": f"{self.directory}/data",
            "exec-root": f"{self.directory}/exec",
            "pidfile": f"{self.directory}/pid",
            "host": self.endpoint,
            "cgroup-parent": f"/{self.cgroup}",  # for containers that vmsvc makes, too
            "bridge": "none",
            "iptables": "false",
            "ip6tables": "false",
            "log-level": "warn",
        }
        (self.directory / "pid").unlink(missing_ok=True)  # in a place of its own, numbers come again
        return ["/usr/sbin/dockerd", *(f"--{key}={value}" for key, value in words.items())]
