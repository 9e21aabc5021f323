"""The upper end of a range, with the reason for it."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Bound:
    """The most that a number may be.

    Attributes:
      most: the largest value that is allowed.
      reason: why, for messages.
    """

    most: int | float
    reason: str

    def __str__(self) -> str:
        most = f"{self.most:g}" if isinstance(self.most, float) else str(self.most)
        return f"{most} ({self.reason})"
