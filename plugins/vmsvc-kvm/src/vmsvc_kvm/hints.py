"""What people may do about a libvirt that is not to be had. Pure.

The numbers are ``virErrorNumber`` of libvirt's virterror.h: part of libvirt's ABI, and so never renumbered. Of a failed
system call (``VIR_ERR_SYSTEM_ERROR``), libvirt also tells its ``errno``. Message texts decide nothing: they are
translated.
"""

from __future__ import annotations

import errno
import shlex

from vmsvc_kvm.options import is_local, is_session

_INTERNAL_ERROR, _NO_SUPPORT, _NO_CONNECT, _INVALID_ARG, _XML_ERROR, _CONFIG_UNSUPPORTED = 1, 3, 5, 8, 27, 67
_OPERATION_DENIED, _AUTH_FAILED, _AUTH_CANCELLED, _ACCESS_DENIED, _AUTH_UNAVAILABLE = 29, 45, 79, 88, 94

# What libvirt says of URIs that it cannot make sense of: a hypervisor, path, host or parameter that it does not have.
_ABOUT_THE_URI = frozenset(
    {_INTERNAL_ERROR, _NO_SUPPORT, _NO_CONNECT, _INVALID_ARG, _XML_ERROR, _CONFIG_UNSUPPORTED},
)
_FORBIDDEN = frozenset({_OPERATION_DENIED, _AUTH_FAILED, _AUTH_CANCELLED, _ACCESS_DENIED, _AUTH_UNAVAILABLE})
_FORBIDDEN_ERRNOS = frozenset({errno.EACCES, errno.EPERM})
_NOBODY_LISTENS = frozenset({errno.ENOENT, errno.ECONNREFUSED})


def no_connection(uri: str, code: int | None, system_error: int | None) -> str:
    """What to do about a connection that was not to be had.

    Args:
        uri: What was to be connected to.
        code: libvirt's error code (a ``virErrorNumber``).
        system_error: The ``errno`` behind it, where there is one.

    Returns:
        A few words, and the command to try.
    """
    attempt = f"`virsh -c {shlex.quote(uri)} list`"
    if code in _FORBIDDEN or system_error in _FORBIDDEN_ERRNOS:
        if is_local(uri):
            return "run it as root, or as a member of the group libvirt"
        return f"may this user use libvirt there? {attempt}"
    if code in _ABOUT_THE_URI:
        return f"is the key `uri` right? {attempt}"
    if not is_local(uri):
        return f"is `uri` right, its host reachable, and libvirtd running there? {attempt}"
    if system_error in _NOBODY_LISTENS and not is_session(uri):
        running = "is libvirtd (or virtqemud) running here? `systemctl status libvirtd`"
        return running if uri == "qemu:///system" else f"{running}; and is the key `uri` right?"
    return f"to try by hand: {attempt}"
