"""A real podman of one's own, with its docker-compatible API: see `lab.engine`."""

from __future__ import annotations

from collections.abc import Sequence

from lab.engine import PrivateEngine

STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{directory}/data"
runroot = "/run/containers/storage"
"""
CONTAINERS = """\
[containers]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "crun"
[network]
network_backend = "netavark"
"""
POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}\n'


class PrivatePodman(PrivateEngine):
    """The API service of one private podman, and its containers, which do not depend on it."""

    programs = ("podman", "conmon", "crun", "docker")
    covers = {"run": "/run", "etc": "/etc/containers", "lib": "/var/lib/containers"}  # noqa: RUF012 - as in the base

    other_cgroups = ("libpod_parent",)  # of containers that nobody has told another one

    def prepare(self) -> None:
        """Write its configuration: nothing that needs a systemd, and images without signatures."""
        etc = self.directory / "etc"
        (etc / "storage.conf").write_text(STORAGE.format(directory=self.directory))
        (etc / "containers.conf").write_text(CONTAINERS)
        (etc / "policy.json").write_text(POLICY)
        (etc / "registries.conf").write_text('unqualified-search-registries = []\n[aliases]\nsvc = "localhost/svc"\n')

    def command(self) -> Sequence[str]:
        """Its API service, for ever."""
        return ["/usr/bin/podman", "system", "service", "--time=0", self.endpoint]
