"""From what the operator wrote to services."""

from __future__ import annotations

import os

import pytest

from vmsvc.cli import selection
from vmsvc.session import Session

_ADDRESS = "[DEFAULT]\nnodes = n1\n[ip#1]\nipname = 192.0.2.{}\nipdev = eth0\n"


@pytest.fixture
def session(tmp_path):
    services = tmp_path / "etc/vmsvc/services"
    services.mkdir(parents=True)
    for number, name in enumerate(("web", "db", "mail"), 1):
        (services / f"{name}.conf").write_text(_ADDRESS.format(number))
    with Session({"VMSVC_ROOT": str(tmp_path), "VMSVC_NODENAME": "n1"}) as session:
        yield session


@pytest.mark.parametrize("words", [[], ["*"]])
def test_a_service_with_two_files_is_told_and_hides_no_other(session, words):
    (session.node.services_dir / "db.toml").touch()

    services, failures = selection.chosen(session, words)

    assert [service.name for service in services] == ["mail", "web"]
    assert [(failure.name, failure.error.code) for failure in failures] == [("db", "config.two-files")]


def test_all_services_are_found_by_one_listing(session, monkeypatch):
    asked = []
    lstat = os.lstat
    monkeypatch.setattr(os, "lstat", lambda path, **options: (asked.append(path), lstat(path, **options))[1])

    services, failures = selection.chosen(session, [])

    assert ([service.name for service in services], failures, asked) == (["db", "mail", "web"], [], [])
