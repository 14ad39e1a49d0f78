import argparse
import os
import subprocess
import sys

import pytest

from vmsvc.cli import completion, grammar
from vmsvc.cli.call import command
from vmsvc.cli.legacy import Legacy
from vmsvc.core.errors import UsageError


def commands(parser, name=""):
    """Every command that does something, by its words."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found = {}
            for word, inner in action.choices.items():
                found |= commands(inner, f"{name} {word}".strip())
            return found
    return {name: parser}


def test_every_command_has_a_function_and_a_help_of_its_own():
    for name, parser in commands(grammar.parser()).items():
        assert callable(command(parser.get_default("run"))), name
        assert parser.description
        assert name in parser.format_help()


def test_every_example_parses():
    count = 0
    for name, parser in commands(grammar.parser()).items():
        for line in (parser.epilog or "").splitlines():
            if line.strip().startswith("vmsvc ") and "|" not in line:
                import shlex

                words = shlex.split(line)[1:]
                assert " ".join(words).startswith(name)
                grammar.parser().parse(words)
                count += 1
    assert count > 20


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["statsu"], "did you mean 'status'?"),
        (["stat"], "there is no 'stat'; did you mean 'status'?"),
        (["stats"], "did you mean 'status'?"),
        (["strat", "web"], "did you mean 'status' or 'start'?"),
        (["st"], "did you mean 'status' or 'start' or 'stop' or 'startapp' or 'stopapp'?"),
        (["--verson"], "did you mean '--version'?"),
        (["start", "--dryrun", "web"], "did you mean '--dry-run'?"),
        (["start"], "NAME"),
        (["status", "--frob"], "--frob"),
        (["status", "--form", "json"], "--form"),
        (["show", "a", "b"], "'b'"),
        (["stop", "web", "--drp"], "--drp"),
        (["start", "web", "--kill"], "--kill"),
        (["migrate", "web", "--to", "n2", "--rid", "app"], "migrate takes no '--rid'"),
        (["ls", "x"], "ls takes no 'x'"),
    ],
)
def test_mistakes(words, said):
    with pytest.raises(UsageError) as caught:
        grammar.parser().parse(words)
    assert said in str(caught.value)
    assert "--help" in caught.value.hint


def test_options_may_stand_anywhere():
    for words in (
        ["--format", "json", "start", "a", "b", "--drp"],
        ["start", "a", "--drp", "b", "--format", "json"],
        ["start", "--drp", "--format=json", "a", "b"],
    ):
        parsed = grammar.parser().parse(words)
        assert (parsed.names, parsed.drp, parsed.format) == (["a", "b"], True, "json")


def test_after_two_hyphens_all_are_names():
    for words in (
        ["status", "--", "-web"],
        ["status", "--format", "json", "--", "-web"],
        ["print", "status", "--format=json", "--", "-web"],
        ["print", "--format=json", "status", "--", "-web"],
    ):
        assert grammar.parser().parse(words).names == ["-web"], words
    assert grammar.parser().parse(["status", "a", "-v", "b", "--", "-c"]).names == ["a", "b", "-c"]
    assert grammar.parser().parse(["get", "web", "--raw", "--", "key"]).key == "key"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("-s web print status", "print status web"),
        ("-s web,db status --format json", "status web db --format json"),
        ("-s web start --drp", "start web --drp"),
        ("start -s web --dry-run", "start web --dry-run"),
        ("-s web -s db,mail stop", "stop web db mail"),
        ("-s web stop --local", "stop web"),
        ("-s web stop --kill", "stop web --kill"),
        ("-s web restart --parallel 3 --despite-unknown a#1", "restart web --parallel 3 --despite-unknown a#1"),
        ("-s web start --rid container#1,vmdg --rid app", "start web --rid container#1,vmdg --rid app"),
        ("-s web stop --tags a+b,c --subsets late", "stop web --tags a+b,c --subset late"),
        ("-s web print status --rid ip", "print status web --rid ip"),
        ("-s web,db freeze --dry-run", "freeze web db --dry-run"),
        ("-s web thaw", "thaw web"),
        ("-s web startapp --rid app#1 --despite-frozen", "startapp web --rid app#1 --despite-frozen"),
        ("-s web stopapp", "stopapp web"),
        ("-s web info", "appinfo web"),
        ("-s web restart --despite-frozen", "restart web --despite-frozen"),
        ("print -s web --format json status", "print status web --format json"),
        ("-s web show", "show web"),
        ("-s web create", "create web"),
        ("-s web push", "push web"),
        ("-s web validate config", "validate web"),
        ("-s web print config", "show web --config"),
        ("-s web edit config", "edit web"),
        ("-s web get --param a#1.b", "get web a#1.b"),
        ("-s web set --param a#1.b --value -1", "set web a#1.b=-1"),
        ("-s web unset --param b", "unset web b"),
        ("list", "ls"),
        ("status", "status"),
    ],
)
def test_the_old_grammar_says_the_same(old, new):
    expected = vars(grammar.parser().parse(new.split()))

    assert vars(Legacy().parse(old.replace("--value -1", "--value=-1").split())) == expected


def test_the_old_grammar_explains_every_refusal():
    for words in ("-s a start --force", "-s a frob", "-s a", "start", "-s a,b get --param x", "-s a set --param x", "start a",
                  "-s a start --kill", "-s a push --parallel 3", "-s a stopapp --drp", "stat"):  # fmt: skip
        with pytest.raises(UsageError) as caught:
            Legacy().parse(words.split())
        assert caught.value.hint


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("-s a unset", "say `svcmgr -s a unset --param SECTION.KEY`"),
        ("-s a set --param x", "say `svcmgr -s a set --param SECTION.KEY --value VALUE`"),
        ("-s a start --param x", "it is for get, set, unset"),
        ("-s a get --param x --value y", "it is for set"),
    ],
)
def test_the_old_grammar_tells_of_a_missing_key_for_the_action_at_hand(words, hint):
    with pytest.raises(UsageError) as caught:
        Legacy().parse(words.split())
    assert caught.value.hint == hint


@pytest.mark.parametrize(("words", "far"), [("-s web get --kw nodes", "--kill"), ("start --cluster", "--value")])
def test_an_option_that_is_far_from_what_was_written_is_not_offered(words, far):
    with pytest.raises(UsageError) as caught:
        Legacy().parse(words.split())
    assert far not in caught.value.message


def test_completion_of_settings_for_services_that_are_to_be():
    offered = completion.new_settings(prefix="")
    assert {"nodes=", "orchestrate="} <= set(offered)
    assert set(completion.new_settings(prefix="orchestrate=")) == {
        "orchestrate=no",
        "orchestrate=start",
        "orchestrate=ha",
    }
    assert completion.new_settings(prefix="nonsense=") == []


def test_completion_offers_what_there_is(app):
    asked = argparse.Namespace(names=["job"])

    assert completion.services(parsed_args=argparse.Namespace(names=[])) == ["job"]
    assert completion.services(parsed_args=asked) == []
    assert completion.rids(parsed_args=asked) == ["app#1"]
    assert {"nodes", "app#1.start"} <= set(completion.keys(parsed_args=asked))
    assert "app#1.start=" in completion.settings(parsed_args=asked, prefix="")
    assert completion.settings(parsed_args=asked, prefix="orchestrate=") == [
        "orchestrate=no", "orchestrate=start", "orchestrate=ha"
    ]  # fmt: skip
    assert completion.settings(parsed_args=asked, prefix="app#1.optional=") == [
        "app#1.optional=true", "app#1.optional=false"
    ]  # fmt: skip
    assert f"{app}" in completion.files(parsed_args=asked, prefix=f"{app.parent}/")


def test_completion_offers_types(app, monkeypatch):
    assert completion.types() == []
    monkeypatch.delenv("VMSVC_DISABLE_PLUGINS")
    pytest.importorskip("vmsvc_null")
    assert "null" in completion.types()


def test_completion_is_silent_where_anything_is_wrong(app):
    app.write_text("nonsense")

    assert completion.keys(parsed_args=argparse.Namespace(name="job")) == []
    assert completion.rids(parsed_args=argparse.Namespace(names=["nope"])) == []


def _complete(line, tmp_path, program="from vmsvc.cli import main; main()"):
    """What a shell would be told."""
    answer = tmp_path / "answer"
    environment = {
        **os.environ,
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "_ARGCOMPLETE_IFS": "\n",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
    }
    subprocess.run([sys.executable, "-c", program], env=environment, timeout=60, check=False)
    return answer.read_text().split()


def test_a_shell_completes(app, tmp_path):
    assert _complete("vmsvc stat", tmp_path) == ["status"]
    assert _complete("svcmgr -s j", tmp_path, "from vmsvc.cli.svcmgr import main; main()") == ["job"]
    assert _complete("svcmgr -s x,j", tmp_path, "from vmsvc.cli.svcmgr import main; main()") == ["x,job"]
    assert _complete("svcmgr -s job print s", tmp_path, "from vmsvc.cli.svcmgr import main; main()") == ["status"]
    assert _complete("vmsvc start j", tmp_path) == ["job"]
    assert _complete("vmsvc get job app#1.che", tmp_path) == ["app#1.check", "app#1.check_timeout"]


LOOKS = [["status"], ["status", "web*", "-v", "--format", "json", "db"], ["print", "status", "web"], ["ls", "-l"]]
LOOKS += [["show", "web", "--config"], ["status", "--", "-web"]]


@pytest.mark.parametrize("words", LOOKS, ids=" ".join)
def test_a_look_means_the_same_without_the_rest_of_the_grammar(words):
    assert vars(grammar.parser(words=words).parse(words)) == vars(grammar.parser().parse(words))


@pytest.mark.parametrize(
    "words", [["status", "--kill"], ["status", "--dry-rn"], ["print", "stats"], ["ls", "web"], ["show"]], ids=" ".join
)
def test_a_look_that_is_wrong_is_told_what_the_whole_grammar_knows(words):
    with pytest.raises(UsageError) as found:
        grammar.parser(words=words).parse(words)
    with pytest.raises(UsageError) as expected:
        grammar.parser().parse(words)
    assert found.value.problems == expected.value.problems


@pytest.mark.parametrize("words", [("create", "-x"), ("create", "web", "-x"), ("create", "-x", "web", "app=1")])
def test_an_option_that_is_none_is_told_before_all_else_with_the_help_of_its_command(words):
    with pytest.raises(UsageError) as refused:
        grammar.parser().parse(words)
    assert refused.value.message == "there is no option '-x'"
    assert refused.value.problems[0].hint == "see `vmsvc create --help`"


def test_what_may_be_left_out_is_not_called_required():
    with pytest.raises(UsageError, match=r"required: NAME \(see"):
        grammar.parser().parse(["create"])
