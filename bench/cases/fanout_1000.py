"""One command to a thousand agents, when starting a process is not what it takes."""
import statistics

import harness
from cases import _fleet

COUNT = 1000
ABOUT = f"`muster exec` to {COUNT} light agents (no process started), from typing it to its exit"
OURS = "muster exec"


def run(options):
    harness.build_release("bench_light", "muster-controller", "muster")
    cpu = []
    with harness.temporary_folder() as root, _fleet.Fleet(root, COUNT, light=True) as fleet:
        def ours():
            before = harness.cpu_s(fleet.controller.pid)
            took, client = _fleet.timed([harness.BUILD / "cli" / "muster", "exec", _fleet.NAME_OF_ALL, "--", "true"],
                                        fleet.environment)
            cpu.append(1e3 * (client + harness.cpu_s(fleet.controller.pid) - before))
            return took

        values = harness.rounds({OURS: ours}, options.rounds)
        memory = harness.memory_mib(fleet.controller.pid, "VmHWM")
    return harness.Result(unit="s", ours=OURS, floor="", values=values, digits=3,
                          reach="at most 0.3 s; the controller at most 64 MiB", limit=0.3,
                          note=f"CPU of client and controller {statistics.median(cpu):.0f} ms. The controller's memory "
                               f"at its peak: {memory:.1f} MiB. A light agent has the link, the key and the calls of "
                               f"a real one and no probes; all {COUNT} are in one process.")
