"""The published shapes of vmsvc's JSON: plain data for ``--format json`` and for the store.

Each document names its schema and version; within a version, keys are only added.
"""
