from __future__ import annotations

import sys
import threading
import time

import pytest

from tests.support import lay_plugin
from vmsvc import hookspecs
from vmsvc.core.installed import plugins_of
from vmsvc.core.node import Node
from vmsvc.core.plugins import load_plugins
from vmsvc.core.records import publishing
from vmsvc.core.records.publishing import Publication, Publishers

NODE = Node(name="n1")
PLUGIN = """
    from vmsvc.driver import hookimpl

    class Keeper:
        def __init__(self, name="a keeper"):
            self.name = name
            self.heard = []
        def publish(self, publication, *, budget_s):
            self.heard.append(publication)

    KEEPER = Keeper()
"""
NEWS = Publication(service="web", topic="push", node="n1", document={"service": "web"})


@pytest.fixture
def publishers(tmp_path, monkeypatch):
    """Publishers of plugins that are given by their code."""

    def make(**plugins):
        for name, code in plugins.items():
            lay_plugin(tmp_path, name, PLUGIN + code)
        monkeypatch.syspath_prepend(str(tmp_path))
        host = load_plugins(hookspecs, installed=_laid(tmp_path), environment={})
        assert all(report.state.value == "ok" for report in host.reports), host.reports
        return Publishers(host.hook.vmsvc_publishers, NODE)

    yield make
    for name in [name for name in sys.modules if name.startswith("pub_")]:
        del sys.modules[name]


def _laid(folder):
    import importlib.metadata

    for distribution in importlib.metadata.distributions(path=[str(folder)]):
        yield from plugins_of(distribution)


GOOD = """
    @hookimpl
    def vmsvc_publishers(node):
        assert node.name == "n1"
        return [KEEPER]
"""


def heard(name):
    return sys.modules[name].KEEPER.heard


def test_every_publisher_is_given_what_was_collected(publishers):
    found = publishers(pub_one=GOOD, pub_two=GOOD.replace("(node)", "()").replace('assert node.name == "n1"', "pass"))
    assert found.publish(NEWS) == ()
    assert found.publish(NEWS) == ()
    assert heard("pub_one") == heard("pub_two") == [NEWS, NEWS]


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("raise OSError('no room')", "web was not published by the publisher a keeper: OSError: no room"),
        ("sys.exit(3)", "the publisher a keeper broke off with SystemExit: 3"),
    ],
)
def test_one_that_fails_is_told_and_costs_nobody_else(publishers, code, told):
    bad = (
        GOOD
        + f"""
    import sys
    def publish(publication, *, budget_s):
        {code}
    KEEPER.publish = publish
"""
    )
    found = publishers(pub_bad=bad, pub_good=GOOD)
    (fault,) = found.publish(NEWS)
    assert told in fault.message
    assert (fault.severity.value, fault.code) == ("warning", "publisher.failed")
    assert heard("pub_good") == [NEWS]


@pytest.mark.parametrize(
    "code",
    ["raise KeyError('x')", "return 7", "return [object()]", "return [Keeper(name=7)]", "import time; time.sleep(30)"],
)
def test_a_plugin_that_cannot_name_its_publishers_is_told_and_costs_nobody_else(publishers, code, monkeypatch):
    monkeypatch.setattr(publishing, "_ASK_S", 0.3)
    bad = f"""
    @hookimpl
    def vmsvc_publishers(node):
        {code}
"""
    found = publishers(pub_bad=bad, pub_good=GOOD)
    for _ in range(2):  # who looks at the second service is to know it, too
        (fault,) = found.publish(NEWS)
        assert "the plugin pub-bad" in fault.message
        assert "could not name its publishers" in fault.message
    assert heard("pub_good") == [NEWS, NEWS]


def test_one_that_hangs_is_left_behind_and_then_not_asked_again(publishers, monkeypatch):
    monkeypatch.setattr(publishing, "_PUBLISH_S", 0.2)
    hanging = (
        GOOD
        + """
    import threading
    RELEASE = threading.Event()
    KEEPER.name = "one that hangs"
    KEEPER.publish = lambda publication, *, budget_s: RELEASE.wait(30)
"""
    )
    found = publishers(pub_hanging=hanging, pub_good=GOOD)
    began = time.monotonic()
    faults = [fault.message for _ in range(10) for fault in found.publish(NEWS)]
    assert time.monotonic() - began < 5
    assert "did not answer within 0.2 s" in faults[0]
    assert "is not answering" in faults[-1]
    assert len(heard("pub_good")) == 10
    assert sum(thread.name.endswith("one that hangs") for thread in threading.enumerate()) <= 2
    sys.modules["pub_hanging"].RELEASE.set()


def test_nobody_is_asked_before_there_is_something_to_publish(publishers):
    counting = """
    CALLS = []
    @hookimpl
    def vmsvc_publishers():
        CALLS.append(1)
        return []
"""
    found = publishers(pub_counting=counting)
    assert sys.modules["pub_counting"].CALLS == []
    found.publish(NEWS)
    found.publish(NEWS)
    assert sys.modules["pub_counting"].CALLS == [1]
