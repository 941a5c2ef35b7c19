"""The loop, the trace, who waits for whom, and the verdict.

A program is run once on a deterministic loop and recorded. What comes out, a
:class:`~deadlock_lab.engine.recording.Recording`, is plain data; nothing that
reads it ever touches a live loop. This package knows no Jupyter.
"""
