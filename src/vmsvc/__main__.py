"""``python -m vmsvc``: the command line."""

import sys

from vmsvc.cli import main

sys.exit(main())
