"""`true` on a hundred hosts, from typing the command to its exit, beside what goes through ssh."""
import statistics

import harness
from cases import _fleet, _ssh

COUNT = 100
ABOUT = f"`true` on {COUNT} agents from typing the command to its exit, beside clush and ansible"
OURS = "muster exec"
FLOOR = f"starting `true` {COUNT} times"
WARM = "clush, warm ControlMaster"


def run(options):
    harness.build_release("bench_light", "muster-agent", "muster-controller", "muster")
    cpu, parts = {}, []

    with harness.temporary_folder() as root, _fleet.Fleet(root, COUNT, light=False) as fleet, \
            _ssh.Hosts(COUNT) as hosts:
        def ours():
            before = harness.cpu_s(fleet.controller.pid)
            took, client = _fleet.timed([harness.BUILD / "cli" / "muster", "exec", _fleet.NAME_OF_ALL, "--", "true"],
                                        fleet.environment)
            served = harness.cpu_s(fleet.controller.pid) - before
            parts.append((1e3 * client, 1e3 * served))
            cpu.setdefault(OURS, []).append(client + served)
            return took

        def peer(name, arguments):
            def once():
                took, spent = hosts.timed(name, arguments)
                cpu.setdefault(name, []).append(spent)
                return took
            return once

        def floor():
            return harness.client([harness.BUILD / "bench" / "bench_light", "spawn", COUNT, "true"], 30)["seconds"]

        contenders = {OURS: ours, FLOOR: floor}
        contenders.update({name: peer(name, arguments) for name, arguments in hosts.contenders().items()})
        values = harness.rounds(contenders, options.rounds)
    spent = {name: statistics.median(seconds) for name, seconds in cpu.items()}
    note = (f"CPU of muster's client {statistics.median(part[0] for part in parts):.1f} ms, of its controller "
            f"{statistics.median(part[1] for part in parts):.1f} ms.")
    for name, seconds in spent.items():
        if name != OURS:
            note += f" {name}: {seconds:.2f} s of client CPU, {seconds / spent[OURS]:.0f} times as much."
    return harness.Result(unit="s", ours=OURS, floor=FLOOR, values=values, digits=3,
                          reach="at most 0.05 s; CPU of client and controller at most 1/50 of warm clush",
                          limit=0.05, bound="a hundred agents start a process each on the same few cores",
                          note=note + hosts.missing())
