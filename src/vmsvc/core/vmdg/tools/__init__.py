"""What asks devices for reservations, and finds them: the only room that knows the arguments and outputs of the tools.

``sg_persist`` is in the package sg3-utils, ``mpathpersist`` and ``multipathd`` in multipath-tools.
"""
