"""``make bench``: every benchmark in this room, one after the other.

Each prints ratios against peers that were measured in the same run.
"""

import runpy
from pathlib import Path

for script in sorted(Path(__file__).parent.glob("bench_*.py")):
    print(f"\n== {script.stem.removeprefix('bench_')}", flush=True)
    runpy.run_path(str(script), run_name="__main__")
