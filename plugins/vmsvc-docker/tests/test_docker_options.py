"""Addresses, and the container that a service file describes."""

import contextlib

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from vmsvc_docker import options
from vmsvc_docker.definition import fields, of_guest
from vmsvc_docker.options import DockerGuest

from vmsvc.core.options import options_of

GUEST = DockerGuest(service="web", rid="container#1", kind="container", type="docker", name="web", image="svc:1")


def test_where_the_engine_is_tells_guests_apart_and_nothing_else_does():
    assert [option.key for option in options_of(DockerGuest) if option.identifies] == ["docker_host"]


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("unix:///run/podman/podman.sock", True),
        ("tcp://10.0.0.1:2376", False),
        ("ssh://root@n2", False),
        ("http://localhost:2375", False),
    ],
)
def test_what_an_address_tells(text, local):
    assert options.endpoint.parse(text) == text
    assert evolve(GUEST, docker_host=text).is_local is local


@pytest.mark.parametrize(
    "text", ["docker", "/var/run/docker.sock", "unix://", "tcp://", "fd://", "tcp://h:x", "tcp://[h", "a\nb"]
)
def test_what_is_no_address(text):
    with pytest.raises(ValueError, match=r"address|line break"):
        options.endpoint.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "tcp://user:pw99@127.0.0.1:1", "http://user:pw99@h", "ssh://user:pw99@h", "tcp://user:pw99@h:x", "tcp://pw99@h",
        "user:pw99@h", "https://u:p@pw99@h", "tcp://u:pw99@[h",
    ],
)  # fmt: skip
def test_a_password_in_an_address_is_refused_and_never_shown(text, monkeypatch):
    with pytest.raises(ValueError, match=r"address|password") as caught:
        options.endpoint.parse(text)
    assert "pw99" not in str(caught.value)
    monkeypatch.setenv("DOCKER_HOST", text)
    assert "pw99" not in GUEST.endpoint


def test_the_address_is_the_file_s_then_the_environment_s_then_the_usual_one(monkeypatch):
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    assert GUEST.endpoint == "unix:///var/run/docker.sock"
    monkeypatch.setenv("DOCKER_HOST", "tcp://h:1")
    assert (GUEST.endpoint, GUEST.is_local) == ("tcp://h:1", False)
    assert evolve(GUEST, docker_host="unix:///x").endpoint == "unix:///x"


@pytest.mark.parametrize(
    ("value", "raw"),
    [
        (options.environment, "NAME"), (options.environment, "=x"), (options.environment, "A=1 'B C=1'"),
        (options.volumes, "/data"), (options.volumes, ":/data"), (options.volumes, "/data:data"),
        (options.devices, "sdb"), (options.devices, "/dev/sdb:sdc"), (options.devices, "/dev/sdb:/dev/sdc:x"),
    ],
)  # fmt: skip
def test_what_would_be_refused_by_an_engine_is_refused_in_the_file(value, raw):
    with pytest.raises(ValueError, match="expected"):
        value.parse(raw)


@given(st.text() | st.integers() | st.booleans() | st.lists(st.text()))
def test_any_value_is_read_or_refused(raw):
    for value in (options.endpoint, options.environment, options.volumes, options.devices):
        with contextlib.suppress(ValueError):
            value.parse(raw)


def made_of(**keys):
    keys = {key: getattr(options, key).parse(value) if hasattr(options, key) else value for key, value in keys.items()}
    return of_guest(evolve(GUEST, **keys)).made_of


@pytest.mark.keyword(
    "container.docker.command", "container.docker.entrypoint", "container.docker.environment",
    "container.docker.volumes", "container.docker.devices", "container.docker.network", "container.docker.privileged",
)  # fmt: skip
def test_each_key_has_its_place_in_what_a_container_is_made_of():
    restart = {"RestartPolicy": {"Name": "no"}}
    plain = dict(made_of())
    assert plain.pop("Labels").items() >= {"vmsvc.service": "web", "vmsvc.rid": "container#1"}.items()
    assert plain == {"Image": "svc:1", "HostConfig": restart}
    assert made_of(command=("sleep", "a b"))["Cmd"] == ["sleep", "a b"]
    assert made_of(entrypoint=("/init",))["Entrypoint"] == ["/init"]
    assert made_of(environment="A=1 'B=x y' C=")["Env"] == ["A=1", "B=x y", "C="]
    assert made_of(volumes="/srv:/data:ro db:/db")["HostConfig"] == {**restart, "Binds": ["/srv:/data:ro", "db:/db"]}
    assert made_of(devices="/dev/sdb /dev/sdc:/dev/data:r")["HostConfig"]["Devices"] == [
        {"PathOnHost": "/dev/sdb", "PathInContainer": "/dev/sdb", "CgroupPermissions": "rwm"},
        {"PathOnHost": "/dev/sdc", "PathInContainer": "/dev/data", "CgroupPermissions": "r"},
    ]
    assert made_of(network="none")["HostConfig"] == {**restart, "NetworkMode": "none"}
    assert made_of(privileged=True)["HostConfig"] == {**restart, "Privileged": True}


def test_definitions_that_mean_the_same_have_the_same_fields():
    one = '{"name": "web", "made_of": {"Env": ["A=1", "B=2"], "Cmd": null, "HostConfig": {"Binds": ["/a:/b:ro"]}}}'
    other = '{"made_of": {"HostConfig": {"Memory": 0, "Binds": ["/a:/b:ro"]}, "Env": ["B=2", "A=1"]}, "name": "web"}'
    assert fields(one, origin="one") == fields(other, origin="other")
    assert fields(one, origin="one").values == {
        "name": "web",
        "Env[A]": "1",
        "Env[B]": "2",
        "HostConfig/Binds[/b]": "/a ro",
    }


def test_what_podman_adds_to_a_container_that_it_starts_is_no_difference():
    one = '{"name": "web", "made_of": {"Env": ["A=1"]}}'
    other = '{"name": "web", "made_of": {"Env": ["A=1", "HOME=/root"]}}'
    assert fields(one, origin="one") == fields(other, origin="other")
    told = '{"name": "web", "made_of": {"User": "www", "Env": ["HOME=/root"]}}'
    assert fields(told, origin="told").values["Env[HOME]"] == "/root"


def test_a_label_with_slashes_is_one_field():
    text = '{"name": "web", "made_of": {"Labels": {"org.example/a": "x"}}}'
    assert fields(text, origin="it").values["Labels[org.example/a]"] == "x"
