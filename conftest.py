"""What pytest needs to know before it collects: how nbval has to run a notebook."""

from typing import Any

import pytest

try:
    from nbval.kernel import RunningKernel
    from nbval.plugin import IPyNbFile
except ImportError:  # the notebooks are not checked here
    pass
else:

    def _execute(kernel: Any, source: str, allow_stdin: bool | None = None) -> Any:
        return kernel.kc.execute(source, allow_stdin=allow_stdin, stop_on_error=False)

    # nbval asks the kernel not to count the cells, and every place would read "cell [1]".
    RunningKernel.execute_cell_input = _execute

    # A notebook of the course keeps the picture and the text of a run, and not the player:
    # `tests/notebooks/refresh.py` takes it out.
    _made = IPyNbFile.__init__

    def _init(self: Any, *args: Any, **options: Any) -> None:
        _made(self, *args, **options)
        self.skip_compare += ("text/html",)

    IPyNbFile.__init__ = _init

    # On a busy machine a search takes long enough for a bar, and that would be an output more.
    _start = IPyNbFile.setup

    def _setup(self: Any) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TQDM_DISABLE", "1")
            _start(self)

    IPyNbFile.setup = _setup
