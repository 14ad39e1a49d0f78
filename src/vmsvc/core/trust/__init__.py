"""Least privilege by ssh: a key of vmsvc's own that permits vmsvc's verbs, and nothing else."""
