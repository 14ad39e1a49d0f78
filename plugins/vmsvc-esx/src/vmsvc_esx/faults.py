"""What a fault of vSphere's means, by its class and those that it is one of. Pure.

The words of a fault are translated, or empty; its class never is. Sources: the vSphere Web Services API reference,
"Fault types"; https://developer.broadcom.com/xapis/vsphere-web-services-api/latest/.
"""

from __future__ import annotations

from vmsvc.driver import DriverError, Undetermined, VmsvcError

#: The code of an error about a guest that the server positively does not know.
ABSENT = "driver.absent"
#: The code of an error about a guest that is in the middle of something else.
BUSY = "undetermined.busy"
#: The code of an error about a host that does not answer its vCenter.
HOST = "undetermined.host"

#: The session has ended: whoever asks again has to log in.
NO_SESSION = frozenset({"NotAuthenticated"})
#: What the server was asked for is gone.
GONE = frozenset({"ManagedObjectNotFound"})
# The guest is busy with another task: nobody has refused anything.
_BUSY = frozenset({"TaskInProgress"})
# A vCenter speaks for a host that does not answer it, or a server for what it has given up: nothing is known.
_SILENCE = frozenset({"HostCommunication", "HostNotReachable", "Timedout", "RequestCanceled"})
#: Somebody has called the task off.
CANCELLED = frozenset({"RequestCanceled"})
#: What a request may not do, or whose guest it may not see.
FORBIDDEN = frozenset({"NoPermission", "InvalidLogin", "InvalidLocale", "RestrictedVersion"})


def classes(fault: BaseException | type) -> frozenset[str]:
    """What a fault is, in vSphere's words: its class, and those that it is one of.

    Args:
        fault: The fault, as pyvmomi raises it.
    """
    kind = fault if isinstance(fault, type) else type(fault)
    return frozenset(each.__name__.rpartition(".")[2] for each in kind.__mro__)


def is_fault(error: BaseException) -> bool:
    """Whether an error is an answer of the server's.

    Args:
        error: The error.
    """
    return "MethodFault" in classes(error)


def words(fault: BaseException) -> str:
    """A fault in words: the server's where it has some, and its class.

    Args:
        fault: The fault.
    """
    name = type(fault).__name__.rpartition(".")[2]
    said = " ".join(str(getattr(fault, "msg", "") or "").split())
    detail = getattr(fault, "privilegeId", "") or getattr(fault, "reason", "")
    if isinstance(detail, str) and detail:
        name = f"{name}: {detail}"
    return f"{said.rstrip('.')} ({name})" if " " in said else name


def meaning(fault: BaseException, what: str) -> VmsvcError:
    """What a fault means to whoever wanted something done.

    Args:
        fault: The fault.
        what: What was wanted, of whom.
    """
    found = classes(fault)
    if found & _BUSY:
        return Undetermined(f"{what}: it is busy with another task", code=BUSY)
    if found & _SILENCE:
        return Undetermined(f"{what}: {words(fault)}", code=HOST)
    hint = "the user needs a role with that privilege, on the guest" if found & FORBIDDEN else ""
    return DriverError(f"{what}: {words(fault)}", code=f"driver.{type(fault).__name__.rpartition('.')[2]}", hint=hint)
