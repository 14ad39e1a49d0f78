import io
import json
import stat
import sys

import pytest

from tests.support import drivers_but


@pytest.fixture
def editor(tmp_path, monkeypatch):
    """Make a Python program the editor, which is given the draft as `path`; gives the directory of drafts."""
    drafts = tmp_path / "drafts"
    drafts.mkdir()

    def use(program):
        script = tmp_path / "an editor.py"
        script.write_text(f"import pathlib, sys\npath = pathlib.Path(sys.argv[1])\n{program}\n")
        monkeypatch.delenv("VISUAL", raising=False)
        monkeypatch.setenv("EDITOR", f"{sys.executable} '{script}'")
        monkeypatch.setattr("tempfile.tempdir", str(drafts))
        return drafts

    return use


def test_validate_tells_all_and_exits_with_the_worst(vmsvc, app, services_dir):
    (services_dir / "bad.conf").write_text("[container#1]\ntype = hpvm\nnmae = x\n[frob]\n")
    (services_dir.parent / "node.conf").write_text("PRD\n")
    code, out, err = vmsvc("validate")

    assert (code, err) == (2, "")
    assert "node.conf: ok" in out
    assert f"{app}: ok" in out
    assert "vmsvc-hpvm" in out
    assert "there is no section `frob`" in out
    assert f"{services_dir / 'bad.conf'}: 2 errors" in out
    assert vmsvc("validate", "job")[0] == 0
    assert vmsvc("validate", "job", str(services_dir / "bad.conf"))[0] == 2


def test_validate_takes_a_file_here(vmsvc, services_dir, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.conf").write_text("[DEFAULT]\nnodes = elsewhere\n")
    code, out, _ = vmsvc("validate", "here.conf")

    assert code == 0
    assert "note: here.conf: " in out
    assert out.endswith("here.conf: ok\n")


def test_validate_in_json(vmsvc, app, services_dir):
    (services_dir / "bad.conf").write_text("nonsense")
    code, out, err = vmsvc("validate", "--format", "json")
    answer = json.loads(out)

    assert (code, err, answer["schema"]) == (2, "", "vmsvc.validation/1")
    assert [item["valid"] for item in answer["files"]] == [False, True]


GUEST = "[container#{number}]\ntype = null\nname = {name}\n"


@pytest.fixture
def guests(vmsvc, services_dir, monkeypatch):
    """Write service files that name guests."""
    pytest.importorskip("vmsvc_null")
    monkeypatch.setenv("VMSVC_DISABLE_PLUGINS", drivers_but("null"))

    def write(service, *names, more=""):
        text = "[DEFAULT]\nnodes = n1\n" + "".join(GUEST.format(number=n, name=name) for n, name in enumerate(names))
        (services_dir / f"{service}.conf").write_text(text + more)

    return write


def test_validate_warns_of_a_guest_that_another_service_has(vmsvc, guests, services_dir, app):
    guests("a", "one", "two")
    guests("b", "two")
    guests("c", "three")
    (services_dir / "d.conf").write_text("nonsense")
    code, out, err = vmsvc("validate")
    assert (code, err, out.count("means the same guest")) == (2, "", 2)

    code, out, err = vmsvc("validate", "a", "--format", "json")  # the other file is read though nobody names it
    (problem,) = json.loads(out)["files"][0]["problems"]
    assert (code, err) == (0, "")
    assert (problem["code"], problem["severity"]) == ("config.same-guest-elsewhere", "warning")
    assert (problem["file"], problem["section"]) == (str(services_dir / "a.conf"), "container#1")
    assert problem["message"] == f"[container#0] of {services_dir / 'b.conf'} means the same guest, `two`"
    assert "same guest" not in vmsvc("validate", "c")[1]


def test_the_same_guest_elsewhere_is_what_its_driver_says(vmsvc, guests):
    guests("a", "one")
    # No option of this driver says that it identifies a guest, so none tells two guests of one name apart.
    guests("b", "one", more="vcpus = 2\n")
    guests("c", "one", more="start_timeout = 5\n")
    out = vmsvc("validate", "a")[1]
    assert ("b.conf means" in out, "c.conf means" in out) == (True, True)


def test_a_draft_of_a_service_is_no_other_service(vmsvc, guests, services_dir, tmp_path, monkeypatch):
    guests("web", "one")
    guests("other", "two")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "web.conf").write_text((services_dir / "web.conf").read_text() + GUEST.format(number=9, name="two"))
    code, out, _ = vmsvc("validate", "web.conf")
    assert (code, out.count("same guest")) == (0, 1)
    assert "other.conf means the same guest, `two`" in out


def test_a_wrong_node_file(vmsvc, app, services_dir):
    (services_dir.parent / "node.conf").write_text("PROD\n")

    for words in (["status"], ["ls"], ["get", "job", "comment"], ["validate", "job"], ["stop", "job"]):
        code, _, err = vmsvc(*words)
        assert (code, "warning" in err, err.count("no host mode")) == (0, True, 1), words
    for words in (["start", "job"], ["plan", "start", "job"]):
        code, _, err = vmsvc(*words)
        assert (code, "error" in err, err.count("no host mode")) == (2, True, 1), words
    code, out, err = vmsvc("validate")
    assert (code, err, out.count("no host mode")) == (2, "", 1)
    assert vmsvc("drivers")[2].count("no host mode") == 0
    node = json.loads(vmsvc("node", "--format", "json")[1])["node"]
    assert (node["mode"], node["problems"][0]["hint"]) == (None, "did you mean `PRD`?")
    assert vmsvc("node", "mode", "PRD") == (0, f"{services_dir.parent / 'node.conf'}: PRD\n", "")
    assert vmsvc("start", "job")[0] == 0


def test_files_that_are_read_by_nobody(vmsvc, app, services_dir):
    (services_dir / "UP.CONF").write_text("[DEFAULT]\n")
    code, out, _ = vmsvc("validate")

    assert code == 0
    assert f"warning: {services_dir / 'UP.CONF'}: the file is not read" in out
    assert "rename it to UP.conf" in vmsvc("status", "UP")[2]
    code, out, _ = vmsvc("validate", "nosuch.conf")
    assert (code, "nosuch.conf: cannot be read: No such file" in out) == (2, True)


def test_a_pattern_never_means_one_service_only(vmsvc, app, services_dir):
    (services_dir / "jo[b].conf").write_text(app.read_text())

    assert vmsvc("status", "jo[b]")[1].splitlines()[1].split()[0] == "job"
    assert vmsvc("create", "a*")[0] == 2
    assert vmsvc("ls")[1] == "job\n"


def test_old_names(vmsvc, services_dir):
    path = services_dir / "old.env"
    path.write_text("[DEFAULT]\nnodes = n1\nservice_type = DEV\n")

    assert vmsvc("get", "old", "service_type") == (
        0,
        "DEV\n",
        "vmsvc: `service_type` is an old name; it is now `DEFAULT.env`\n",
    )
    assert vmsvc("get", "old", "service_type", "--raw")[1] == "DEV\n"
    code, _, err = vmsvc("set", "old", "env=PRD")
    assert (code, "was replaced by DEFAULT.env" in err) == (0, True)
    assert path.read_text() == "[DEFAULT]\nnodes = n1\nenv = PRD\n"
    code, _, err = vmsvc("set", "old", "env=PROD")
    assert (code, "did you mean `PRD`?" in err) == (2, True)


def test_get_for_this_node(vmsvc, app):
    app.write_text(app.read_text() + "start_timeout = 1m\nstart_timeout@n1 = 2m\n")

    assert vmsvc("get", "job", "app#1.start_timeout@N1") == (0, "120\n", "")
    assert vmsvc("get", "job", "app#1.start_timeout@n2")[0] == 2


def test_unset_a_section(vmsvc, app):
    before = app.read_text()
    assert vmsvc("set", "job", "ip#1.ipname=a", "ip#1.ipdev=b")[0] == 0
    assert vmsvc("unset", "job", "ip#1")[0] == 0
    assert app.read_text() == before + "\n"


def test_create_set_get_unset(vmsvc, services_dir):
    code, out, _ = vmsvc("create", "job", "nodes=n1 n2", "app#1.start=sleep 1", "--toml")
    path = services_dir / "job.toml"

    assert (code, out.startswith(f"{path}: made")) == (0, True)
    assert vmsvc("get", "job", "nodes")[1] == "n1 n2\n"
    assert vmsvc("get", "job", "app#1.start")[1] == "sleep 1\n"
    assert vmsvc("get", "job", "app#1.start_timeout")[1] == "60\n"
    assert vmsvc("get", "job", "app#1.start_timeout", "--raw")[0] == 2
    assert vmsvc("set", "job", "app#1.start_timeout=2m", "comment=x=y")[0] == 0
    assert vmsvc("get", "job", "app#1.start_timeout")[1] == "120\n"
    assert vmsvc("get", "job", "app#1.start_timeout", "--raw")[1] == "2m\n"
    assert json.loads(vmsvc("get", "job", "comment", "--format", "json")[1])["value"] == "x=y"
    assert vmsvc("unset", "job", "comment", "app#1.start_timeout")[0] == 0
    assert vmsvc("get", "job", "comment")[1] == "\n"
    assert vmsvc("create", "job")[0] == 2


def test_a_setting_is_not_taken_for_the_name_of_a_service(vmsvc, services_dir):
    code, _, err = vmsvc("create", "container#1.type=null")
    assert (code, list(services_dir.glob("*type=*"))) == (2, [])
    assert "is a setting, and no name" in err
    assert "vmsvc create NAME" in err


def test_no_editor_waits_for_somebody_who_has_no_terminal(vmsvc, app, monkeypatch):
    monkeypatch.delenv("EDITOR", raising=False)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    code, _, err = vmsvc("edit", "job")
    assert code == 2
    assert "vi needs a terminal" in err


def test_create_from_a_file_with_options_between(vmsvc, app, services_dir):
    code, _, _ = vmsvc("create", "copy", "--from", str(app), "app#1.check=true")

    assert code == 0
    assert "# why" in (services_dir / "copy.conf").read_text()
    assert vmsvc("get", "copy", "app#1.check")[1] == "true\n"


def test_what_would_be_wrong_is_not_written(vmsvc, app):
    before = app.read_text()
    code, out, err = vmsvc("set", "job", "app#1.start_timeout=soon")

    assert (code, out) == (2, "")
    assert "[app#1] start_timeout" in err
    assert app.read_text() == before
    assert "did you mean" in vmsvc("get", "job", "app#1.strat")[2]


def test_a_section_is_told_from_a_key(vmsvc, app):
    assert "has no resource container#7 (it has: app#1)" in vmsvc("get", "job", "container#7")[2]
    assert "app#1 is a section (say `app#1.KEY`" in vmsvc("get", "job", "app#1")[2]
    assert "has no section [container#7]" in vmsvc("unset", "job", "container#7")[2]


def test_edit_replaces_the_file_by_a_valid_one(vmsvc, app, editor):
    drafts = editor("path.write_text(path.read_text().replace('old', 'new'))")
    app.chmod(0o640)
    code, out, err = vmsvc("edit", "job")

    assert (code, out, err) == (0, f"{app}: changed\n", "")
    assert "comment = new" in app.read_text()
    assert stat.S_IMODE(app.stat().st_mode) == 0o640
    assert list(drafts.iterdir()) == []


def test_edit_that_changes_nothing(vmsvc, app, editor):
    drafts = editor("")

    assert vmsvc("edit", "job") == (0, f"{app}: unchanged\n", "")
    assert list(drafts.iterdir()) == []


def test_edit_keeps_a_draft_that_is_wrong(vmsvc, app, editor):
    drafts = editor("path.write_text('[frob]')")
    before = app.read_text()
    code, _, err = vmsvc("edit", "job")
    (draft,) = drafts.iterdir()

    assert code == 2
    assert "frob" in err
    assert f"note: {app} is unchanged; your draft is {draft}" in err
    assert (app.read_text(), draft.read_text()) == (before, "[frob]")
    assert stat.S_IMODE(draft.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("program", "ending"),
    [
        ("sys.exit(3)", (1, "ended with exit code 3")),
        (
            "pathlib.Path({app!r}).write_text('[DEFAULT]\\n'); path.write_text('[DEFAULT]\\nnodes = n1\\n')",
            (3, "has changed while you edited it"),
        ),
    ],
)
def test_edit_gives_up_and_says_where_the_draft_is(vmsvc, app, editor, program, ending):
    drafts = editor(program.format(app=str(app)))
    found, _, err = vmsvc("edit", "job")
    (draft,) = drafts.iterdir()

    assert found == ending[0]
    assert ending[1] in err
    assert str(draft) in err


def test_edit_without_an_editor(vmsvc, app, monkeypatch):
    monkeypatch.setenv("VISUAL", "/nowhere/editor")
    code, _, err = vmsvc("edit", "job")

    assert code == 2
    assert "there is no program '/nowhere/editor'" in err


def test_show_config_is_the_file(vmsvc, app):
    app.write_text("[DEFAULT]\ncomment =\ta\t; b\n")

    assert vmsvc("show", "job", "--config")[1] == app.read_text()
    assert json.loads(vmsvc("show", "job", "--config", "--format", "json")[1])["text"] == app.read_text()


def test_a_service_without_a_container(vmsvc, app):
    assert vmsvc("start", "job")[1].startswith("job: up (start app#1")
    assert vmsvc("status", "job")[1].splitlines()[1].split() == ["job", "up", "up"]
    assert vmsvc("stop", "job")[1].startswith("job: down (stop app#1")


def test_listing(vmsvc, app, services_dir):
    (services_dir / "bad.conf").write_text("nonsense")

    assert vmsvc("ls") == (0, "bad\njob\n", "")
    code, out, err = vmsvc("ls", "--long")
    assert (code, "job" in out, "bad.conf" in err) == (2, True, True)
    code, out, err = vmsvc("ls", "--format", "json")
    assert (code, err, json.loads(out)["services"][0]["nodes"]) == (2, "", ["n1"])


def test_node_and_its_mode(vmsvc, services_dir):
    assert vmsvc("node", "mode", "dev")[0] == 0
    assert json.loads(vmsvc("node", "--format", "json")[1])["node"]["mode"] == "DEV"
    (services_dir.parent / "node.conf").unlink()
    (services_dir.parent / "node.toml").write_text('[node]\nmode = "TST"\n')
    code, _, err = vmsvc("node", "mode", "PRD")
    assert (code, "node.toml" in err) == (2, True)


def test_a_node_file_with_more_than_a_word_is_not_overwritten(vmsvc, services_dir):
    file = services_dir.parent / "node.conf"
    file.write_text("# mine\n[node]\nmode = DEV\n[disks]\nscsi_hosts = 1 2\n")
    code, _, err = vmsvc("node", "mode", "PRD")
    assert (code, "node.conf has more to say" in err) == (2, True)
    assert "scsi_hosts" in file.read_text()


def test_the_keys_of_nodes(vmsvc, services_dir):
    assert json.loads(vmsvc("node", "--format", "json")[1])["node"]["prkey"] is None  # a look makes no key
    code, key, _ = vmsvc("node", "prkey")
    assert code == 0
    assert vmsvc("node", "peer", "add", "N2", "--prkey", "0xABC")[0] == 0
    node = json.loads(vmsvc("node", "--format", "json")[1])["node"]
    assert (node["prkey"], node["peers"]) == (key.strip(), [{"name": "n2", "prkey": "0x0000000000000abc"}])
    assert key.strip() in vmsvc("node")[1]
    assert vmsvc("node", "peer", "add", "n3", "--prkey", key.strip())[0] == 3


@pytest.mark.parametrize(
    "words",
    [
        ("peer",),
        ("peer", "add"),
        ("peer", "add", "n2"),
        ("peer", "add", "n2", "n3", "--prkey", "0x1"),
        ("peer", "remove", "n2", "--prkey", "0x1"),
        ("peer", "add", "n2", "--prkey", "12"),
        ("peer", "add", "n1", "--prkey", "0x1"),
        ("prkey", "0x1"),
        ("mode", "PRD", "DEV"),
        ("mode", "PRD", "--prkey", "0x1"),
    ],
)
def test_what_node_does_not_know(vmsvc, words):
    code, out, err = vmsvc("node", *words)
    assert (code, out) == (2, "")
    assert "`vmsvc node" in err or "hexadecimal" in err or "this node" in err


def test_no_driver_is_no_error(vmsvc):
    code, out, err = vmsvc("drivers")

    assert code == 0
    assert "pip install vmsvc-kvm" in err or out


def test_keywords_come_from_the_declarations(vmsvc):
    code, out, _ = vmsvc("keywords", "app")

    assert code == 0
    assert "  check_timeout  a duration of more than 0 and at most 8 seconds; default '5'" in out
    rows = json.loads(vmsvc("keywords", "--format", "json")[1])["keywords"]
    assert {"section": "ip", "key": "ipname"}.items() <= next(row for row in rows if row["key"] == "ipname").items()
    assert {row["section"] for row in rows} >= {"DEFAULT", "container", "ip", "app", "sync"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_code(vmsvc, shell):
    code, out, _ = vmsvc("completion", shell)

    assert code == 0
    assert "svcmgr" in out
    assert json.loads(vmsvc("completion", shell, "--format", "json")[1])["code"] in out


@pytest.mark.option("set --dry-run", "unset --dry-run")
def test_a_dry_run_shows_how_the_file_would_change_and_writes_nothing(vmsvc, app):
    before = app.read_text()
    code, out, _ = vmsvc("set", "job", "comment=new", "--dry-run")
    assert (code, app.read_text()) == (0, before)
    assert "\n-comment = old\n+comment = new\n" in out
    assert out.endswith("job.conf: would be so\n")
    _, out, _ = vmsvc("unset", "job", "comment", "--dry-run")
    assert "\n-comment = old\n" in out
    assert app.read_text() == before
    _, out, _ = vmsvc("set", "job", "comment=old", "--dry-run")
    assert out.endswith("job.conf: nothing would change\n")
    _, out, _ = vmsvc("--format", "json", "set", "job", "comment=new", "--dry-run")
    assert "+comment = new\n" in json.loads(out)["diff"]
    assert app.read_text() == before


@pytest.mark.option("create --dry-run")
def test_a_dry_run_makes_no_service_and_tells_what_would_be_wrong_with_it(vmsvc, services_dir, app):
    code, out, _ = vmsvc("create", "new", "app#1.check=true", "--dry-run")
    assert (code, "+[app#1]\n+check = true\n" in out) == (0, True)
    assert [path.name for path in services_dir.iterdir()] == ["job.conf"]
    for words in (["create", "job"], ["create", "new", "app#1.chek=true"], ["set", "job", "app#1.chek=true"]):
        assert vmsvc(*words, "--dry-run")[0] == 2
