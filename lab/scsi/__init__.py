"""A real SCSI target, and disks on it, on a machine that has neither: Linux as a process (user-mode Linux).

Such a kernel brings a target (LIO), an initiator (open-iscsi), ``/dev/sdX`` and device mapper. Its root file system is
this machine's, with a layer on top that is thrown away, so that the tree, its virtual environment and ``sg_persist``
are there at the same paths. It needs no root, no KVM and no module of this machine's kernel.

    python -m lab.scsi -- sg_persist --in -k /dev/sda

Sources of facts: Documentation/virt/uml of Linux, user_mode_linux_howto_v2; the package user-mode-linux of Debian 12.
"""
