"""How long it takes to stop all apps of a PM2 home."""
import signal

import harness
from cases import _pm2

ABOUT = f"{_pm2.APPS} PM2 apps stopped"
OURS = "muster, daemon too"
LISTED = "muster, daemon lives on"
FLOOR = "SIGINT to bare node"
PEER = "pm2 stop all"
PARALLEL = f"pm2 stop all, {_pm2.APPS} at once"


def run(options):
    harness.build_release("pm2_driver")
    harness.note_busy()

    with _pm2.Home() as home:
        home.driver("save", "bench")

        def stopped(how):
            def once():
                home.all_running()
                took = how()
                states = home.states()
                if states != {"stopped": _pm2.APPS}:
                    raise harness.Failed(f"not all are stopped: {states}")
                return took
            return once

        def with_daemon():
            home.all_running()
            took = home.driver("stop", "end")[0]
            if left := _pm2.processes_of(home.folder.name):
                raise harness.Failed(f"{len(left)} processes are left")
            home.restore()  # a daemon for the next contender
            return took

        def floor():
            home.pm2("stop", "all", at_once=_pm2.APPS)
            processes, _ = home.node_alone()
            return _pm2.end(processes, signal.SIGINT)

        values = harness.rounds({
            OURS: with_daemon,
            LISTED: stopped(lambda: home.driver("stop")[0]),
            PARALLEL: stopped(lambda: home.pm2("stop", "all", at_once=_pm2.APPS)[0]),
            PEER: stopped(lambda: home.pm2("stop", "all")[0]),
            FLOOR: floor}, options.rounds, own_load=True)
    return harness.Result(unit="s", ours=OURS, floor=FLOOR, values=values, beside=(LISTED,), digits=2,
                          reach="at most 1.2 s", limit=1.2,
                          note="What the agent does before a restart is the first: apps and daemon. Left alive, the "
                               "daemon stops each app itself: it looks every 100 ms whether it has died.")
