"""See why async code freezes."""

__version__ = "0.1.0"
