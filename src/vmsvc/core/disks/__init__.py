"""Exclusive disks as resources: which they are, who uses them and how they stand; reserved, released, watched."""
