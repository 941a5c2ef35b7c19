"""What a run can end in, as exceptions."""

__all__ = ["BlockedStepError", "DeadlockError", "NotModelledError", "RunawayError"]


class DeadlockError(Exception):
    """Nothing that is left can ever move the program: it would stand still for ever.

    The message is the explanation that ``run.explain()`` gives.
    """


class RunawayError(Exception):
    """The program was still busy when a limit of the run was reached.

    The message says which limit, at which value, and how to raise it.
    """


class NotModelledError(RuntimeError):
    """The program asked for something that a virtual clock cannot model.

    Threads, sockets, pipes, signals and subprocesses live in real time, outside
    the lab's loop. The message names what was asked for and what to use instead.
    """


class BlockedStepError(BaseException):
    """Thrown into a step that kept the loop busy for too long in real time.

    A ``BaseException``, as ``KeyboardInterrupt`` is, so that a learner's
    ``except Exception`` does not swallow the rescue.
    """
