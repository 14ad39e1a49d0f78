"""What a deadline leaves: moments are of the monotonic clock."""

from __future__ import annotations

import time


def left_until(deadline: float) -> float:
    """How long it is until a deadline, in seconds; nothing once it has passed.

    Args:
        deadline: The moment, on the monotonic clock.
    """
    return max(deadline - time.monotonic(), 0.0)
