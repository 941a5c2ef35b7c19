"""What pytest needs to know before it collects: how nbval has to run a notebook."""

from typing import Any

try:
    from nbval.kernel import RunningKernel
except ImportError:  # the notebooks are not checked here
    pass
else:

    def _execute(kernel: Any, source: str, allow_stdin: bool | None = None) -> Any:
        return kernel.kc.execute(source, allow_stdin=allow_stdin, stop_on_error=False)

    # nbval asks the kernel not to count the cells, and every place would read "cell [1]".
    RunningKernel.execute_cell_input = _execute
