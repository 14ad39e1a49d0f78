"""The real Xen of one's own: its hypervisor, domain 0 and `xl`, in a machine that qemu emulates, and guests in that.

    with PrivateXen() as xen:
        xen.guest(config, "web")
        xen.xl("create", str(config))

Where the lab runs, there is no Xen, and none is needed: `image` builds what is booted from Debian's packages, `machine`
boots it in some ten seconds, and `client` runs commands in its domain 0, over one port of this machine that leads to
nowhere else. As a program called `xl`, first in the search path, that makes any program of this machine use the real
one.
"""
