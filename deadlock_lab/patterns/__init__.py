"""What a reader takes home: plain asyncio, the standard library alone.

Each module can be lifted out of this kit into a service; it needs ``errors.py`` beside it and
nothing else.
"""

from deadlock_lab.patterns.errors import CircularDependencyError

__all__ = ["CircularDependencyError"]
