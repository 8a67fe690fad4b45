"""Power cuts, a few of them; `make torture` makes hundreds. And that the simulator sees what it is there for."""

import subprocess
import sys

import pytest

from tests.draws import draw_seed
from tests.rules.source import ROOT
from tests.whole.disk import Mode

pytestmark = pytest.mark.needs("disks")

CUTS = 3
# Writes a file carefully and one carelessly, and says which are there and whole after a cut.
PROBE = """
import os, random, subprocess, sys
from pathlib import Path
from tests.torture.powercuts import alone
from tests.whole.disk import Disk, Mode, mount

alone()
folder = Path(sys.argv[1])
disk, at = Disk(folder), folder / "at"
at.mkdir()
disk.mount(at)

def write(name, *, is_durable):
    with (at / "part").open("wb") as file:
        file.write(b"x" * 9000)
        if is_durable:
            file.flush()
            os.fsync(file.fileno())
    (at / "part").rename(at / name)

def fsync(path):
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)

write("durable", is_durable=True)
fsync(at)
disk.note("told")
told = len(disk.records())
write("careless", is_durable=False)
records = disk.records()
disk.unmount(at)
for mode in Mode:
    for name, end in (("told", told), ("later", len(records))):
        mount(disk.cut(records[:end], mode, random.Random(1)), at)
        whole = sorted(path.name for path in at.glob("*e*") if path.is_file() and path.stat().st_size == 9000)
        print(mode, name, *whole)
        subprocess.run(["umount", str(at)], check=True)
"""


def test_a_cut_takes_what_was_not_flushed_and_leaves_what_was(tmp_path):
    command = [sys.executable, "-c", PROBE, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=50)
    assert done.stdout.splitlines() == [f"{mode} {name} durable" for mode in Mode for name in ("told", "later")], (
        done.stderr
    )


def test_what_was_acknowledged_before_a_power_cut_is_done_once_to_the_end():
    seed = str(draw_seed())
    command = [sys.executable, "-m", "tests.torture.batch", "power cuts", seed, "0", str(CUTS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"seed {seed}: {done.stdout}{done.stderr}"
