"""Disks that only one hypervisor can write to: SCSI-3 persistent reservations. Nothing else in vmsvc knows of them.

Sources: SPC-4 (ANSI INCITS 513), clause 5.12 "Reservations" and 6.15 to 6.16, PERSISTENT RESERVE IN and OUT;
sg_persist(8).
"""
