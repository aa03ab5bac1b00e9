"""What the agent costs a host while nothing happens."""
import getpass
import json
import os
import statistics
import subprocess
import time
from pathlib import Path

import harness
from cases import _pm2, _redis

REDIS = 5
SECONDS = 60
SAMPLE_SECONDS = 10
CLOSE_SECONDS = 20  # after a service became ready the agent looks at it closely for a while
ABOUT = f"the agent at rest beside {_pm2.APPS} PM2 apps and {REDIS} Redis, for {SECONDS} s"
OURS = "muster-agent"
CONTROLLER = "muster-controller"
PM2 = "PM2's daemon"


class Fleet:
    """A controller and one agent on loopback that watches five Redis and a PM2 home."""

    def __init__(self, root, home, ports):
        self.root, self.home, self.ports, self.programs = Path(root), home, ports, []
        self.build = harness.BUILD
        self.environment = {**os.environ, "MUSTER_IDENTITY": str(self.root / "state" / "admin")}

    def start(self, *arguments):
        with open(self.root / "log", "a") as log:
            self.programs.append(subprocess.Popen(list(map(str, arguments)), stdin=subprocess.DEVNULL, stdout=log,
                                                  stderr=log, preexec_fn=harness.die_with_parent))
        return self.programs[-1].pid

    def muster(self, *arguments):
        done = subprocess.run([self.build / "cli" / "muster", *arguments], env=self.environment, text=True,
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=30, check=False)
        return done.stdout if done.returncode == 0 else ""

    def wait(self, what, holds, seconds=60):
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                raise harness.Failed(f"{what}: not within {seconds} s: {(self.root / 'log').read_text()[-1000:]}")
            time.sleep(0.1)

    def all_ready(self):
        status = json.loads(self.muster("status", "--json") or '{"hosts": []}')
        services = [service for host in status["hosts"] for service in host["services"]]
        return len(services) == REDIS + 1 and all(service["phase"] == "ready" for service in services)

    def __enter__(self):
        services = [f"  redis{i}: {{kind: redis, host: one, port: {port}, role: master}}"
                    for i, port in enumerate(self.ports)]
        services.append(f"  apps: {{kind: pm2, host: one, user: {getpass.getuser()}, home: {self.home.path}}}")
        (self.root / "fleet.yaml").write_text("\n".join(
            ["fleet: bench", "hosts:", "  one: {}", "services:", *services, ""]))
        try:
            self.controller = self.start(self.build / "controller" / "muster-controller", "--fleet",
                                         self.root / "fleet.yaml", "--listen", f"127.0.0.1:{harness.free_port()}",
                                         "--state", self.root / "state")
            self.wait("the controller answers", lambda: self.muster("audit", "ls"))
            agent = self.build / "agent" / "muster-agent"
            harness.command([agent, "join", self.muster("host", "invite", "one").strip(), "--state",
                             self.root / "one"], "joining the agent")
            self.agent = self.start(agent, "--state", self.root / "one")
            self.wait("all services are ready", self.all_ready)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for program in self.programs:
            program.kill()
            program.wait()


def run(_options):
    harness.build_release("pm2_driver", "muster-agent", "muster-controller", "muster")
    values, shares = {OURS: [], CONTROLLER: [], PM2: []}, {OURS: [], CONTROLLER: [], PM2: []}

    with harness.temporary_folder() as root, _pm2.Home() as home:
        servers = []
        try:
            for i in range(REDIS):
                folder = Path(root, f"redis{i}")
                folder.mkdir()
                servers.append(_redis.Redis(folder).__enter__())
            with Fleet(root, home, [server.port for server in servers]) as fleet:
                time.sleep(CLOSE_SECONDS)
                harness.busy_samples.append(harness.busy_cores())
                daemon = int((home.path / "pm2.pid").read_text())
                pids = {OURS: fleet.agent, CONTROLLER: fleet.controller, PM2: daemon}
                for _ in range(SECONDS // SAMPLE_SECONDS):
                    before, began = {name: harness.cpu_s(pid) for name, pid in pids.items()}, time.monotonic()
                    time.sleep(SAMPLE_SECONDS)
                    for name, pid in pids.items():
                        shares[name].append(100 * (harness.cpu_s(pid) - before[name]) / (time.monotonic() - began))
                        values[name].append(harness.memory_mib(pid))
                own = harness.memory_mib(fleet.agent, "RssAnon")
                most = harness.memory_mib(fleet.agent, "VmHWM")
        finally:
            for server in servers:
                server.__exit__()
    spent = "; ".join(f"{name} {statistics.median(share):.3f} ({min(share):.3f} to {max(share):.3f})"
                      for name, share in shares.items())
    return harness.Result(unit="resident, MiB", ours=OURS, floor="", values=values, beside=(CONTROLLER, PM2), digits=2,
                          reach="at most 8 MiB resident, at most 0.1 % of a core",
                          note=f"Share of a core in %: {spent}. Of the agent's memory {own:.2f} MiB is its own, the "
                               f"rest is files, most of them libraries that others share; its peak was {most:.2f} MiB.")
