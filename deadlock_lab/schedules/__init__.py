"""Many schedules of one program: which of them freeze, the smallest one, and why.

``explore`` and ``load_curve`` are the face. A program is run once for each schedule,
unrecorded and so in some ten microseconds a wait; only what is shown in the end is recorded.
"""

from .exploration import Exploration
from .explore import explore
from .load import LoadCurve, load_curve

__all__ = ["Exploration", "LoadCurve", "explore", "load_curve"]
