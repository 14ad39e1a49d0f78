"""What the README and the tutorial show of KVM, with a real guest of the name that they use."""

from __future__ import annotations

import re
from functools import partial

import pytest
from sybil import Document

from docs import examples

pytestmark = pytest.mark.timeout(180)


def run(name: str, page: examples.Page, guest) -> None:
    """Run a page's blocks for the lab; whatever starts the guest is followed by its boot."""
    document = Document.parse(str(examples.TREE / name), partial(examples.blocks, lab=True))
    document.namespace["page"] = page
    shown = list(document.examples())
    assert shown
    for example in shown:
        assert example.region.evaluator(example) is None
        if guest.pid is not None:
            guest.wait_ready()
    assert guest.state == "shut off"


@pytest.fixture
def page(libvirtd):
    made = examples.Page({"LIBVIRT_URI": libvirtd.uri})
    yield made
    made.close()


def test_the_tutorial_on_kvm(make_guest, page):
    run("docs/tutorial/first-service.md", page, make_guest("web01"))


def test_the_first_service_of_the_readme(libvirtd, make_guest, page):
    shown = re.findall(r"^```ini\n(.*?)^```$", (examples.TREE / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    # Its own section is the last one; the libvirt of the tests is not the machine's.
    page.write("etc/vmsvc/services/web.conf", f"{shown[0]}uri = {libvirtd.uri}\n")
    run("README.md", page, make_guest("web01"))
