"""The drivers of kvm and docker keep the contract, clause by clause, on real daemons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest
from vmsvc_docker.kit import DockerKit
from vmsvc_kvm.kit import KvmKit

from lab.dockerd import PrivateDockerd
from lab.fixtures import required
from lab.podman import PrivatePodman
from tests.lab.kits import EngineBackend, KvmBackend

pytestmark = pytest.mark.timeout(300)

#: What a daemon does not survive, or others would feel.
HARSH = ("hung", "slow", "dead", "restarted")


class TestKvm(KvmKit):
    @pytest.fixture
    def kit_backend(self, tmp_path, private_libvirtd, make_guest):
        return KvmBackend(tmp_path, private_libvirtd, make_guest)


@pytest.fixture(scope="module")
def gentle_engines():
    """An engine of each kind for the whole module, once somebody needs it."""
    made = {}
    yield made
    for each in made.values():
        each.close()


class Engines(DockerKit):
    engine = None

    @pytest.fixture
    def kit_backend(self, tmp_path, request, gentle_engines):
        clause = request.node.callspec.params["clause"]
        if clause.trouble in HARSH or clause.name in ("close", "processes"):
            with required():
                engine = self.engine().__enter__()
            yield EngineBackend(tmp_path, engine)
            engine.close()
            return
        if self.engine not in gentle_engines:
            with required():
                gentle_engines[self.engine] = self.engine().__enter__()
        engine = gentle_engines[self.engine]
        engine.clear()
        yield EngineBackend(tmp_path, engine)


class TestDocker(Engines):
    engine = PrivateDockerd


@pytest.mark.soak  # docker's driver, by another engine: what tells the two apart has tests of its own
class TestPodman(Engines):
    engine = PrivatePodman
    waivers: ClassVar[Mapping[str, str]] = {
        **DockerKit.waivers,
        "starting": "podman starts again at once what has failed, and has no word for the time between",
    }
