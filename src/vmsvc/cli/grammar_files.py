"""The grammar of commands about files, and about vmsvc itself."""

from __future__ import annotations

from vmsvc.cli.phrases import Commands, completed, name, names
from vmsvc.cli.words import Parser

#: What `--dry-run` does to a file.
_SHOWN_ONLY = "show how the file would change, and write nothing"


def add(commands: Commands) -> None:
    """Add the commands.

    Args:
        commands: Where to.
    """
    _files(commands)
    _about(commands)


def _files(commands: Commands) -> None:
    validate = commands.add(
        "validate",
        "files:validate",
        "check service files",
        about="Without arguments: all services, and the node's own file. No hypervisor is asked, but for the names of "
        "disks that are to be reserved: a disk belongs to one service.",
        examples=("vmsvc validate", "vmsvc validate web", "vmsvc validate ./web.conf"),
        more="names",
    )
    completed(validate.add_argument("names", nargs="*", metavar="NAME|FILE", help="a service, or a file"), "files")
    create = commands.add(
        "create",
        "files:create",
        "make a service",
        examples=(
            "vmsvc create web --type kvm",
            "vmsvc create web nodes='n1 n2' container#1.type=kvm container#1.name=web01",
            "vmsvc create web2 --from web.conf",
        ),
        more="settings",
    )
    create.add_argument("name", metavar="NAME", help="the service's name")
    completed(
        create.add_argument("settings", nargs="*", default=[], metavar="SECTION.KEY=VALUE", help="settings"), "settings"
    )
    create.add_argument("--from", dest="template", metavar="FILE", help="begin with a copy of this file")
    completed(create.add_argument("--type", metavar="TYPE", help="the type of its guest, container#1"), "types")
    create.add_argument("--toml", action="store_true", help="make a TOML file instead of an INI file")
    create.add_argument("--dry-run", action="store_true", help=_SHOWN_ONLY)
    adopt = commands.add(
        "adopt",
        "adopting:adopt",
        "make services of the guests that are there already",
        about="Writes a service file for each guest that has none; changes no guest, and nothing in its hypervisor. "
        "A file that is there is never changed: run it again for guests that have come since.",
        examples=(
            "vmsvc adopt --dry-run",
            "vmsvc adopt 'erp-*' --set app=ERP --set nodes='n1 n2'",
            "vmsvc adopt --set container#1.uri=xen:///system",
        ),
        more="guests",
    )
    adopt.add_argument(
        "guests", nargs="*", metavar="GUEST", help="names of guests, or patterns such as 'web*'; all when not given"
    )
    adopt.add_argument("--dry-run", action="store_true", help="show the files, and write nothing")
    given = adopt.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="what every file is to say (repeatable); keys such as container#1.uri also tell where to look",
    )
    completed(given, "new_settings")
    edit = commands.add(
        "edit",
        "editing:edit",
        "edit a service's file",
        about="$VISUAL or $EDITOR works on a copy, which replaces the file once it is valid.",
        examples=("vmsvc edit web",),
    )
    name(edit)
    get = commands.add(
        "get",
        "files:get",
        "print the value of a key",
        examples=("vmsvc get web container#1.start_timeout", "vmsvc get web nodes --raw"),
    )
    name(get)
    completed(get.add_argument("key", metavar="SECTION.KEY", help="the key; KEY alone is one of [DEFAULT]"), "keys")
    get.add_argument("--raw", action="store_true", help="as it stands in the file, before references and defaults")
    change = commands.add(
        "set",
        "files:set_keys",
        "set keys in a service's file",
        about="The file is replaced only if the result is valid. `vmsvc keywords` lists the keys.",
        examples=("vmsvc set web container#1.start_timeout=5m", "vmsvc set web nodes='n1 n2'"),
        more="settings",
    )
    name(change)
    completed(change.add_argument("settings", nargs="+", metavar="SECTION.KEY=VALUE", help="settings"), "settings")
    change.add_argument("--dry-run", action="store_true", help=_SHOWN_ONLY)
    unset = commands.add(
        "unset",
        "files:unset_keys",
        "remove keys, or whole sections, from a service's file",
        examples=("vmsvc unset web comment", "vmsvc unset web container#2"),
        more="keys",
    )
    name(unset)
    completed(
        unset.add_argument("keys", nargs="+", metavar="SECTION.KEY", help="the keys; SECTION alone removes it"), "keys"
    )
    unset.add_argument("--dry-run", action="store_true", help=_SHOWN_ONLY)


def _about(commands: Commands) -> None:
    commands.add("drivers", "about:drivers", "list the installed drivers, and plugins that were refused")
    keywords = commands.add(
        "keywords",
        "about:keywords",
        "list the keys that a section may have",
        examples=("vmsvc keywords", "vmsvc keywords DEFAULT", "vmsvc keywords container kvm"),
    )
    kind = keywords.add_argument("kind", nargs="?", metavar="KIND", help="DEFAULT, container, ip, app …")
    completed(kind, "kinds")
    type_ = keywords.add_argument("type", nargs="?", default="", metavar="TYPE", help="the type, such as kvm")
    completed(type_, "types_of_kind")
    node = commands.add(
        "node",
        "node:node",
        "tell about this node, set its host mode, or keep the keys of nodes",
        examples=(
            "vmsvc node",
            "vmsvc node mode PRD",
            "vmsvc node prkey",
            "vmsvc node peer add n2 --prkey 0x4ac11d08baf7e1b9",
            "vmsvc node peer remove n2",
        ),
    )
    node.add_argument("what", nargs="?", choices=("mode", "prkey", "peer"), help="what to set or print")
    words = node.add_argument(
        "words", nargs="*", metavar="WORD", help="the host mode: PRD, DEV, TST …; or `add` or `remove`, and a node"
    )
    completed(words, "node_words")
    node.add_argument("--dry-run", action="store_true", help=_SHOWN_ONLY)
    node.add_argument("--prkey", metavar="KEY", help="the key by which a peer registers on disks (SCSI-3)")
    _trust(commands.group("trust", "limit what vmsvc may do by ssh to what it needs"))
    _sdk(commands.group("sdk", "make drivers, and hold them to the contract"))
    shell = commands.add(
        "completion",
        "about:completion",
        "print code that makes a shell complete our commands",
        examples=('eval "$(vmsvc completion bash)"', "vmsvc completion fish | source"),
    )
    shell.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell")


def _trust(commands: Commands) -> None:
    guest = commands.add(
        "guest",
        "trusting:guest",
        "show what guests need so that vmsvc's own ssh key permits its verbs alone; install it, try it out",
        about="Without options, makes the key where there is none, shows what belongs into the guest, and connects to "
        "nothing. Exits with 1 where something is not as it should be, and with 4 where that could not be found out.",
        examples=(
            "vmsvc trust guest web",
            "vmsvc trust guest web --install --dry-run",
            "vmsvc trust guest web --install",
            "vmsvc trust guest 'web*' --test",
        ),
    )
    names(guest, required=True)
    _trusting(guest)
    peers = commands.add(
        "peers",
        "trusting:peers",
        "show what other nodes need so that vmsvc's own ssh key permits its questions alone; install it, try it out",
        about="Without options, makes the key where there is none, shows what belongs on the peers, and connects to "
        "nothing. Exits with 1 where something is not as it should be, and with 4 where that could not be found out. "
        "Each node has a key of its own: run it on each.",
        examples=(
            "vmsvc trust peers",
            "vmsvc trust peers web",
            "vmsvc trust peers --install --dry-run",
            "vmsvc trust peers --install",
            "vmsvc trust peers 'web*' --test",
        ),
    )
    names(peers, required=False)
    _trusting(peers)


def _trusting(command: Parser) -> None:
    command.add_argument(
        "--install",
        action="store_true",
        help="put the script and the line there, by your own ssh access, unless they are; then try it out",
    )
    command.add_argument("--dry-run", action="store_true", help="of an installation, show what it would change")
    command.add_argument(
        "--test",
        action="store_true",
        help="try out that the verbs work with vmsvc's own key, and that nothing else does; does no harm",
    )


def _sdk(commands: Commands) -> None:
    new = commands.add(
        "new",
        "sdk:new",
        "write a package with a driver, its kit and its test",
        about="The kit passes as it is: its technology is a stand-in, whose place yours takes.",
        examples=("vmsvc sdk new acme", "vmsvc sdk new acme --directory ~/src"),
    )
    new.add_argument("name", metavar="NAME", help="the driver's type; the package is vmsvc-NAME")
    new.add_argument("--directory", default=".", metavar="DIR", help="where the package is made (default: here)")
    test = commands.add(
        "test",
        "sdk:test",
        "hold installed drivers to the contract, clause by clause",
        about="Each package brings a kit: what its technology is, and how to make trouble for it. Exits with 1 where a "
        "clause is broken; one that is waived is told with the reason.",
        examples=("vmsvc sdk test", "vmsvc sdk test vmsvc-acme", "vmsvc sdk test acme --clause hung --clause dead"),
    )
    packages = test.add_argument(
        "packages", nargs="*", metavar="PACKAGE", help="an installed package, or the type of its driver; all with a kit"
    )
    completed(packages, "kits")
    clause = test.add_argument(
        "--clause",
        dest="clauses",
        action="append",
        default=[],
        metavar="CLAUSE",
        help="one clause instead of all (repeatable)",
    )
    completed(clause, "clauses")
    record = commands.add(
        "record",
        "sdk:record",
        "record what a driver's read-only commands print on this node, masked, for a bug report",
        about="Changes nothing, and goes into no guest. Names, addresses, identities and what looks like a secret are "
        "masked, equal ones alike; free text is not: read the files before you send them.",
        examples=("vmsvc sdk record xen", "vmsvc sdk record kvm --set container#1.uri=xen:///system"),
    )
    completed(record.add_argument("type", metavar="TYPE", help="the driver's type"), "types")
    record.add_argument(
        "--directory", default="", metavar="DIR", help="where the files are written (default: vmsvc-TYPE-samples here)"
    )
    given = record.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="where to look for guests that have no service (repeatable)",
    )
    completed(given, "new_settings")
