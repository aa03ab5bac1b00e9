"""How long it takes to learn what a PM2 home runs, and what that costs the one who asks."""
import resource
import statistics

import harness
from cases import _pm2

ABOUT = f"names and states of {_pm2.APPS} PM2 apps: wall time and the reader's own CPU"
OURS = "muster, names and states"
WHOLE = "muster, all a snapshot needs"
FLOOR = "rpc.sock, nothing read out"
PEER = "pm2 jlist"
TIMES = 15  # readings a round of those that are short


def run(options):
    harness.build_release("bench_pm2_state", "pm2_driver")
    harness.note_busy()
    cpu = {name: [] for name in (OURS, WHOLE, FLOOR, PEER)}

    with _pm2.Home() as home:
        def ours(name, how):
            def once():
                figures = harness.client([harness.BUILD / "bench" / "bench_pm2_state", home.path, how, TIMES], 120)
                if how != "raw" and figures["apps"] != _pm2.APPS:
                    raise harness.Failed(f"{figures['apps']:.0f} apps were read instead of {_pm2.APPS}")
                cpu[name].append(figures["cpu_ms"])
                return figures["wall_ms"]
            return once

        def peer():
            def spent():
                usage = resource.getrusage(resource.RUSAGE_CHILDREN)
                return usage.ru_utime + usage.ru_stime

            before = spent()
            took, _ = home.pm2("jlist")
            cpu[PEER].append((spent() - before) * 1000)
            return took * 1000

        harness.settle()  # 133 apps that have just come up are not at rest
        values = harness.rounds({OURS: ours(OURS, "brief"), WHOLE: ours(WHOLE, "state"), FLOOR: ours(FLOOR, "raw"),
                                 PEER: peer}, options.rounds, own_load=True)
    spent = "; ".join(f"{name} {statistics.median(figures):.1f} ({min(figures):.1f} to {max(figures):.1f})"
                      for name, figures in cpu.items())
    return harness.Result(unit="wall, ms", ours=OURS, floor=FLOOR, values=values, beside=(WHOLE,),
                          reach="at most 25 ms wall, at most 3 ms own CPU", limit=25,
                          note=f"The reader's own CPU in ms: {spent}. Wall time beyond the floor is the reader's; "
                               "the floor is the daemon's, which builds its answer in one thread. pm2 jlist is a "
                               "process each time, as people and scripts use it. All that a snapshot needs is "
                               "read once a save, and by checks.")
