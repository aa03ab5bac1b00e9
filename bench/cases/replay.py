"""How fast a controller that starts takes up a long run."""
import contextlib
import json
import sqlite3
import statistics
import time
from pathlib import Path

import harness

HOSTS = 700
EVENTS = 50_000
ABOUT = f"a controller takes up an unfinished run of {HOSTS} hosts from its journal of {EVENTS} events"
OURS = "muster: plan, journal, state"
FLOOR = "reading the rows"
PEER = "Python: the rows, as JSON"


def python_reads(path):
    """The same rows with the usual means: read and parsed, nothing made of them."""
    began = time.perf_counter()
    with contextlib.closing(sqlite3.connect(path)) as store:
        for (text,) in store.execute("SELECT plan FROM runs UNION ALL SELECT json FROM journal"):
            json.loads(text)
    return time.perf_counter() - began


def run(options):
    harness.build_release("bench_replay")
    program = harness.BUILD / "bench" / "bench_replay"
    took, plan_only = [], []

    with harness.temporary_folder() as folder:
        path, fresh = Path(folder, "muster.db"), Path(folder, "fresh.db")
        made = harness.client([program, "make", path, HOSTS, EVENTS], 120)
        harness.client([program, "make", fresh, HOSTS, 1], 120)
        events = made["events"]

        def ours():
            plan_only.append(harness.client([program, "fold", fresh, HOSTS], 30)["ms"])
            took.append(harness.client([program, "fold", path, HOSTS], 30)["ms"])
            return events / took[-1] * 1e3

        def floor():
            return events / harness.client([program, "read", path, HOSTS], 30)["ms"] * 1e3

        values = harness.rounds({OURS: ours, FLOOR: floor, PEER: lambda: events / python_reads(path)},
                                options.rounds)
    return harness.Result(
        unit="events/s", ours=OURS, floor=FLOOR, values=values, more_is_better=True, digits=0,
        reach="50,000 events in under a second", limit=50_000,
        note=f"{events:.0f} events of a plan of {made['steps']:.0f} steps ({made['plan_bytes'] / 1e6:.1f} MB), a reboot "
             f"that went through the core with every fifth operation failing at first: taken up in "
             f"{statistics.median(took):.0f} ms ({min(took):.0f} to {max(took):.0f}); the same run at its beginning, "
             f"which is reading the plan, in {statistics.median(plan_only):.0f} ms.")
