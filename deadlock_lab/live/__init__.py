"""The same verdict for a program on a real loop: asyncio's own, or uvloop's."""

from .standing import Standing, diagnose
from .watch import Watch, watch

__all__ = ["Standing", "Watch", "diagnose", "watch"]
