"""How soon a thousand agents are back after the controller was killed and started again."""
import statistics
import time

import harness
from cases import _fleet

COUNT = 1000
ABOUT = f"{COUNT} light agents from one address, after their controller was killed and started again"
OURS = "muster"
BACKOFF_LOW_S, BACKOFF_HIGH_S = 0.1, 30.0


def longest_backoff(away):
    """An agent that has dialled in vain since the controller went waits at most so long for its next try: each wait
    is twice the one before, less up to half of it by chance; at worst it began just before the controller came."""
    began, wait = 0.0, BACKOFF_LOW_S
    while began + wait / 2 < away:
        began, wait = began + wait / 2, min(wait * 2, BACKOFF_HIGH_S)
    return wait


def run(options):
    harness.build_release("bench_light", "muster-controller", "muster")
    raw, memory = [], []
    with harness.temporary_folder() as root, _fleet.Fleet(root, COUNT, light=True) as fleet:
        def ours():
            fleet.wait("all agents are connected", fleet.connected)
            time.sleep(11)  # a link that lived so long begins its backoff anew
            killed = time.monotonic()
            fleet.controller.kill()
            fleet.controller.wait()
            fleet.start_controller()
            fleet.wait("the controller answers", lambda: fleet.muster("audit", "ls").returncode == 0)
            listening = time.monotonic()
            back = fleet.heard("all", killed * 1e6) / 1e6
            raw.append(back - listening)
            memory.append(harness.memory_mib(fleet.controller.pid, "VmHWM"))
            return max(0.0, back - listening - longest_backoff(listening - killed))

        values = harness.rounds({OURS: ours}, options.rounds)
    return harness.Result(unit="s beyond the backoff", ours=OURS, floor="", values=values, digits=2,
                          reach="at most 3 s", limit=3,
                          note=f"From the first answer of the new controller until the last agent was admitted: "
                               f"{statistics.median(raw):.2f} s ({min(raw):.2f} to {max(raw):.2f}). Of that, the "
                               f"backoff that an agent may have left at that moment is not counted. The controller's "
                               f"memory at its peak: {max(memory):.1f} MiB.")
