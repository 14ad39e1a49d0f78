import pytest

from tests.support import drivers_but
from vmsvc.cli import main


@pytest.fixture
def services_dir(tmp_path, monkeypatch):
    """The services of a node of our own, without any plugin."""
    monkeypatch.setenv("VMSVC_ROOT", str(tmp_path))
    monkeypatch.setenv("VMSVC_NODENAME", "n1")
    monkeypatch.setenv("VMSVC_DISABLE_PLUGINS", drivers_but())
    directory = tmp_path / "etc/vmsvc/services"
    directory.mkdir(parents=True)
    return directory


@pytest.fixture
def vmsvc(services_dir, capsys):
    """Run a command in this process; gives its exit code, and what it printed."""

    def run(*words):
        code = main(words)
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


@pytest.fixture
def app(services_dir):
    """A service that needs no hypervisor; its state is whether a file is there."""
    mark = services_dir.parent / "mark"
    path = services_dir / "job.conf"
    path.write_text(
        "[DEFAULT]\nnodes = n1\n# why\ncomment = old\n"
        f"[app#1]\nstart = touch {mark}\nstop = rm {mark}\ncheck = test -e {mark}\n"
    )
    return path
