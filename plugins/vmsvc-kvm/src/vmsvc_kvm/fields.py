"""A guest's definition as fields that can be compared: what it says, and not how it happens to be written. Pure.

Left out is what libvirt makes up anew, for each run or each definition, and what it writes into one form of it only:
ids and aliases, the addresses of devices on their buses, the host's ends of terminals, and the devices that every
machine of a type has. Defaults are filled in, memory is in KiB. Source: https://libvirt.org/formatdomain.html
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from attrs import define, field

from vmsvc.driver import DefinitionFields
from vmsvc_kvm import definition

_Parents = tuple[ET.Element, ...]

# What tells an element from others of its tag: attributes of its own or of a child.
_NAMED_BY: Mapping[str, tuple[str, ...]] = {
    "audio": ("@id",),
    "cell": ("@id",),
    "channel": ("target/@name",),
    "console": ("target/@type", "target/@port"),
    "controller": ("@type", "@index"),
    "disk": ("target/@dev",),
    "feature": ("@name",),
    "filesystem": ("target/@dir",),
    "graphics": ("@type",),
    "input": ("@type", "@bus"),
    "interface": ("mac/@address",),
    "iothread": ("@id",),
    "parallel": ("target/@port",),
    "serial": ("target/@port",),
    "shmem": ("@name",),
    "timer": ("@name",),
    "vcpu": ("@id",),
}
_DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "clock": {"@offset": "utc"},
    "disk": {"@type": "file", "@device": "disk"},
    "domain": {"on_poweroff": "destroy", "on_reboot": "restart", "on_crash": "destroy"},
    "vcpu": {"@placement": "static"},
}
_KIB = {
    "b": 1 / 1024, "bytes": 1 / 1024,
    "k": 1, "KiB": 1, "M": 1024, "MiB": 1024, "G": 1024**2, "GiB": 1024**2, "T": 1024**3, "TiB": 1024**3,
    "KB": 1000 / 1024, "MB": 1000**2 / 1024, "GB": 1000**3 / 1024, "TB": 1000**4 / 1024,
}  # fmt: skip
# Elements whose text, and attributes of others, that are amounts of memory: in KiB where they do not say.
_AMOUNTS = frozenset(
    {"memory", "currentMemory", "maxMemory", "hard_limit", "soft_limit", "swap_hard_limit", "min_guarantee"}
)
_SECRET_ATTRIBUTES = frozenset({"passwd", "password"})
_SECRET_ELEMENTS = frozenset({"cookie", "dhCert", "session", "password", "passwd"})
_NAMESPACES = {
    "http://libvirt.org/schemas/domain/qemu/1.0": "qemu",
    "http://libosinfo.org/xmlns/libvirt/domain/1.0": "libosinfo",
}


def fields(xml: str, *, origin: str) -> DefinitionFields:
    """What a definition says, field by field.

    Args:
        xml: Domain XML, in any form.
        origin: Where it comes from, for the error.

    Returns:
        Fields such as ``memory``, ``os/type/@machine`` and ``devices/disk[vda]/source/@file``.

    Raises:
        DriverError: It is not a domain's definition.
    """
    definition.read(xml, origin=origin)
    reading = _Reading()
    reading.parts("", ET.fromstring(xml), ())  # noqa: S314 - it has just been read
    return DefinitionFields(values=reading.values, secret=frozenset(reading.secret))


def with_cpu_as_chosen(live: str, persistent: str) -> str:
    """A live definition with its CPU as somebody chose it.

    Of ``host-model``, each run makes the CPU that the host has then, flag by flag, and keeps no word of the choice.

    Args:
        live: The running guest's definition.
        persistent: The definition that its next start takes.

    Returns:
        The live definition; with the persistent one's CPU where that is such a choice and the live one its result.
    """
    root, chosen = ET.fromstring(live), ET.fromstring(persistent).find("cpu")  # noqa: S314 - libvirt's own
    made = root.find("cpu")
    if made is None or chosen is None or (made.get("mode"), chosen.get("mode")) != ("custom", "host-model"):
        return live
    root[list(root).index(made)] = chosen
    return ET.tostring(root, encoding="unicode")


@define
class _Reading:
    """One walk through a definition."""

    values: dict[str, str] = field(factory=dict)
    secret: set[str] = field(factory=set)

    def element(self, path: str, element: ET.Element, parents: _Parents) -> None:
        text = " ".join((element.text or "").split())
        self.values[path] = _in_kib(text, element.get("unit", "KiB")) if _is_amount(element, text) else text
        if _local(element) in _SECRET_ELEMENTS and text:
            self.secret.add(path)
        self.parts(f"{path}/", element, parents)

    def parts(self, prefix: str, element: ET.Element, parents: _Parents) -> None:
        """The attributes and children of an element."""
        told = _NAMED_BY.get(element.tag, ())
        for name, value in element.attrib.items():
            if f"@{name}" not in told and not _is_made_up_attribute(name, element, parents):
                shown = _in_kib(value, element.get("unit", "KiB")) if name in _AMOUNTS else value
                self.values[f"{prefix}@{name}"] = shown
                if name in _SECRET_ATTRIBUTES:
                    self.secret.add(f"{prefix}@{name}")
        seen = Counter[str]()
        for child in element:
            if not _is_made_up(child, (*parents, element)):
                name = _name(child)
                seen[name] += 1
                self.element(
                    f"{prefix}{name}" + (f"#{seen[name]}" if seen[name] > 1 else ""), child, (*parents, element)
                )
        for name, value in _DEFAULTS.get(element.tag, {}).items():
            self.values.setdefault(f"{prefix}{name}", value)


def _local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _name(element: ET.Element) -> str:
    """How an element is called among its siblings."""
    space, _, local = element.tag.rpartition("}")
    if space:
        return f"{_NAMESPACES.get(space[1:], space[1:])}:{local}"
    if element.tag == "hostdev":  # what is passed through is what its source says, attribute by attribute
        source = element.find("source")
        words = [value for part in (() if source is None else source.iter()) for _, value in sorted(part.items())]
    else:
        words = list(_words(element))
    return f"{local}[{' '.join(words)}]" if words else local


def _words(element: ET.Element) -> Iterator[str]:
    for place in _NAMED_BY.get(element.tag, ()):
        child, _, attribute = place.rpartition("@")
        owner = element.find(child.rstrip("/")) if child else element
        if owner is not None and owner.get(attribute):
            yield owner.get(attribute, "")


# --- amounts ---------------------------------------------------------------------------------------------------------


def _is_amount(element: ET.Element, text: str) -> bool:
    return text.isdecimal() and (element.tag in _AMOUNTS or element.get("unit") in _KIB)


def _in_kib(text: str, unit: str) -> str:
    """An amount of memory in KiB, rounded up as libvirt does."""
    if not text.isdecimal() or unit not in _KIB:
        return text
    return f"{-int(-int(text) * _KIB[unit] // 1)} KiB"


# --- what libvirt makes up -------------------------------------------------------------------------------------------


def _is_made_up(element: ET.Element, parents: _Parents) -> bool:
    rule = _MADE_UP.get(element.tag)
    return rule is not None and rule(element, parents)


def _is_device(parents: _Parents) -> bool:
    """Whether the innermost of some parents is a device."""
    return len(parents) > 1 and parents[-2].tag == "devices"


def _is_plain(element: ET.Element) -> bool:
    """Whether nothing is said of a device but what it is."""
    return all(child.tag in ("alias", "address") for child in element)


def _is_root(controller: ET.Element) -> bool:
    """Whether a controller is a bus that machines have in any case."""
    model = controller.get("model")
    if controller.get("type") == "usb":
        return controller.get("index") == "0" and model in (None, "piix3-uhci")
    return model in ("pci-root", "pcie-root")


def _is_own_end(source: ET.Element, parents: _Parents) -> bool:
    """The host's end of a terminal or a socket, which libvirt chooses for each run."""
    device, path = parents[-1], source.get("path", "")
    if device.tag not in ("serial", "parallel", "console", "channel"):
        return False
    return device.get("type") == "pty" or (device.get("type") == "unix" and "/qemu/channel/" in path)


def _is_made_up_device(name: str) -> bool:
    """Whether a network device of the host has a name that libvirt gives; those that begin so are its own."""
    return name.startswith(("vnet", "macvtap", "macvlan"))


_MADE_UP: Mapping[str, Callable[[ET.Element, _Parents], bool]] = {
    # One that begins so was chosen by people.
    "alias": lambda alias, _: not alias.get("name", "").startswith("ua-"),
    "address": lambda _, parents: _is_device(parents),
    "backingStore": lambda _, parents: _is_device(parents),
    "mirror": lambda _, parents: _is_device(parents),
    "resource": lambda resource, parents: len(parents) == 1 and resource.findtext("partition") == "/machine",
    "seclabel": lambda label, parents: (
        len(parents) == 1 and label.get("type") == "dynamic" and label.find("baselabel") is None
    ),
    # The first serial port, told again.
    "console": lambda console, _: any(target.get("type") == "serial" for target in console.iterfind("target")),
    "source": _is_own_end,
    "target": lambda target, parents: (
        parents[-1].tag == "interface" and list(target.attrib) == ["dev"] and _is_made_up_device(target.attrib["dev"])
    ),
    # Devices that are there whether or not somebody asks for them.
    "audio": lambda audio, _: _is_plain(audio) and audio.get("id") == "1",
    "input": lambda device, _: _is_plain(device) and device.get("bus") == "ps2",
    "controller": lambda controller, _: _is_plain(controller) and _is_root(controller),
}

#: Attributes by element: of the domain itself, of sources, and of what stands for a choice that was left to libvirt.
_MADE_UP_ATTRIBUTES: Mapping[str, frozenset[str]] = {
    "domain": frozenset({"id"}),
    "source": frozenset({"index", "portid"}),
    "console": frozenset({"tty"}),
    "target": frozenset({"state"}),
}


def _is_made_up_attribute(name: str, element: ET.Element, parents: _Parents) -> bool:
    if name in _MADE_UP_ATTRIBUTES.get(element.tag, ()):
        return True
    if name == "unit":
        return element.get("unit") in _KIB
    if element.tag == "graphics":
        is_port = name in ("port", "tlsPort", "websocket")
        is_left_to_libvirt = is_port and (element.get("autoport") == "yes" or element.get(name) == "-1")
        return is_left_to_libvirt or (name == "listen" and element.find("listen") is not None)
    if element.tag == "target" and name == "dev" and parents[-1].tag == "interface":
        return _is_made_up_device(element.get("dev", ""))
    # The bridge behind a network is the network's affair.
    return element.tag == "source" and name == "bridge" and "network" in element.attrib
