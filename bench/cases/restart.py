"""What coordinating costs: a restart of three real hosts, less what hosts, servers and Node took themselves."""
import os
import statistics
import subprocess
import time

import harness
from cases import _restart

HOLD, SETTLE = 2.0, 10.0  # policy: a gate's hold in the fleet file, and how long apps must not restart
DATA_MB = 200
OURS = "muster"
SCRIPT = "a script in the order of the needs"
ABOUT = "three real hosts rebooted in order: wall time beyond the critical path (boot, loads, PM2 and Node)"


def control(*arguments, quiet=True):
    done = subprocess.run([_restart.FIXTURES / "control", *arguments], text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600, check=False)
    if done.returncode != 0:
        raise harness.Failed(f"{' '.join(arguments)}: {done.stdout[-2000:]}")
    return done.stdout


def prepare():
    """Real hosts of the bench's own, with what is built here."""
    if os.geteuid() != 0:
        raise harness.Failed("real hosts need root")
    os.environ.setdefault("TESTBED_PREFIX", "bn-")
    os.environ.setdefault("TESTBED_NET", "10.91.9")
    os.environ.setdefault("TESTBED_DIR", "/var/lib/muster-testbed-bn")
    os.environ["DEMO_DATA_MB"] = str(DATA_MB)
    os.environ["MUSTER_BUILD"] = str(harness.BUILD)
    harness.build_release("all")


def fleet_up():
    done = subprocess.run([_restart.FIXTURES / "fleet", "up"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise harness.Failed(f"the fleet does not come up: {done.stdout[-1000:]}")
    for step in (["install"], ["start"], ["join"], ["muster", "check", "--fix"]):
        control(*step)


def settled():
    """All as it was and at rest before the next round."""
    return '"phase": "loading"' not in (text := control("muster", "status", "--json")) and text.count(
        '"phase": "ready"') == 8


def run(options):
    prepare()
    walls, policies, parts = {OURS: [], SCRIPT: []}, [], []

    def measure(name, work, hold, settle):
        _restart.wait("services at rest", settled)
        since, began = time.time(), time.monotonic()
        work()
        wall = time.monotonic() - began
        own, lengths = _restart.path(since, hold, settle)
        walls[name].append(wall)
        if name == OURS:
            policies.append(own - _restart.path(since, 0, 0)[0])
            parts.append(lengths)
        return wall - own

    try:
        fleet_up()
        script = _restart.Script(len(_restart.app_lines("ready")) - 5)
        values = harness.rounds(
            {OURS: lambda: measure(OURS, lambda: control("muster", "reboot", "--yes"), HOLD, SETTLE),
             SCRIPT: lambda: measure(SCRIPT, script.run, 0, 0)}, options.rounds)
    finally:
        control("down")
        _restart.testbed("down")
    middle = {name: statistics.median(times) for name, times in walls.items()}
    lengths = ", ".join(f"{name} {statistics.median(part[name] for part in parts):.1f}" for name in parts[0])
    return harness.Result(
        unit="s beyond the critical path", ours=OURS, floor="", values=values, digits=2, reach="at most 2 s",
        limit=2, bound="see the lengths below",
        note=f"Wall time {middle[OURS]:.1f} s, of the script {middle[SCRIPT]:.1f} s. In muster's, by the hosts' own "
             f"journals: {lengths} s. Not counted as cost but as policy: {statistics.median(policies):.1f} s in which "
             f"what is ready is held (gates {HOLD:.0f} s, apps {SETTLE:.0f} s); the script holds and verifies nothing. There is no floor beside "
             "them: the critical path, which nobody can go below, is what was taken off.")
