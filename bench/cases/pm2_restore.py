"""How long it takes until all apps of a PM2 home run again after a boot, and whether they are what they were."""
import os
import resource
import signal
import statistics
import subprocess

import harness
from cases import _pm2

ABOUT = f"{_pm2.APPS} PM2 apps from no daemon until each runs its own code"
OURS = "muster"
FLOOR = "node alone"
PEER = "pm2 resurrect"
PARALLEL = f"pm2 resurrect, {_pm2.APPS} at once"


def children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(options):
    harness.build_release("pm2_driver")
    harness.note_busy()
    differences = {OURS: [], PEER: [], PARALLEL: []}
    cpu = {OURS: [], PEER: [], PARALLEL: []}

    with _pm2.Home() as home:
        home.driver("save", "bench")
        home.pm2("save")

        def restored(name, arguments, environment):
            def once():
                home.driver("stop", "end")
                os.truncate(home.mark, 0)
                spent = children_seconds()
                began = harness.time.monotonic()
                with subprocess.Popen([str(argument) for argument in arguments], env=environment,
                                      stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL, preexec_fn=harness.die_with_parent) as process:
                    home.wait_running(_pm2.APPS)
                    took = harness.time.monotonic() - began
                    spent -= _pm2.cpu_seconds(home.folder.name, process.pid)
                    process.wait(timeout=60)
                cpu[name].append(children_seconds() - spent)
                differences[name].append(len(home.driver("diff", "bench", good=(0, 4))[2].splitlines()))
                return took
            return once

        def floor():
            home.driver("stop", "end")
            processes, took = home.node_alone()
            _pm2.end(processes, signal.SIGKILL)
            return took

        peer = [home.program, "resurrect"]
        values = harness.rounds({
            OURS: restored(OURS, [_pm2.DRIVER, home.path, home.snapshots, "restore", "bench", "settle=500"],
                           {"PATH": "/usr/bin:/bin"}),
            PEER: restored(PEER, peer, home.environment),
            PARALLEL: restored(PARALLEL, peer, {**home.environment, "PM2_CONCURRENT_ACTIONS": str(_pm2.APPS)}),
            FLOOR: floor}, options.rounds, own_load=True)
    found = "; ".join(f"{name} {max(counts)}" for name, counts in differences.items())
    spent = "; ".join(f"{name} {statistics.median(figures):.2f} ({min(figures):.2f} to {max(figures):.2f})"
                      for name, figures in cpu.items())
    return harness.Result(unit="s", ours=OURS, floor=FLOOR, values=values, digits=2,
                          reach="at most what pm2 resurrect takes, and exact",
                          limit=statistics.median(values[PEER]),
                          bound="both start the same apps in the same daemon, which keeps the processors busy all the "
                                "while; what muster adds is registering each app and watching that it comes to rest",
                          note=f"CPU seconds of all that it takes, daemon, apps and command: {spent}. "
                               f"Differences to what was saved, at most: {found}. All start from no daemon; an app "
                               "runs when its own first line has.")
