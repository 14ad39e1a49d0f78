"""The tutorial's part on KVM, with a real guest of the name that it uses."""

from __future__ import annotations

from functools import partial

import pytest
from sybil import Document

from docs import examples

pytestmark = pytest.mark.timeout(180)


def test_the_tutorial_on_kvm(libvirtd, make_guest):
    guest = make_guest("web01")
    parser = partial(examples.blocks, lab=True)
    document = Document.parse(str(examples.TREE / "docs/tutorial/first-service.md"), parser)
    page = document.namespace["page"] = examples.Page({"LIBVIRT_URI": libvirtd.uri})
    try:
        for example in document.examples():
            assert example.region.evaluator(example) is None
            if guest.pid is not None:
                guest.wait_ready()
    finally:
        page.close()
    assert guest.state == "shut off"
