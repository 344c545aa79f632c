"""The optimized build that the benchmarks measure."""

import subprocess
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]


def build():
    """Builds .build/bench and returns it."""
    folder = TOP / ".build/bench"
    if not (folder / "build.ninja").exists():
        subprocess.run(["meson", "setup", str(folder), str(TOP), "--buildtype=release"], check=True,
                       stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", str(folder)], check=True, stdout=subprocess.DEVNULL)
    return folder
