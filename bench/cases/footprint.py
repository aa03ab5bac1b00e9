"""What the agent costs a host while nothing happens."""
import getpass
import json
import os
import shutil
import statistics
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

import harness
from cases import _fleet, _pm2, _redis

REDIS = 5
SECONDS = 60
SHARE_LIMIT = 0.1  # of a core, in percent
SAMPLE_SECONDS = 10
CLOSE_SECONDS = 20  # after a service became ready the agent looks at it closely for a while
ABOUT = f"the agent at rest beside {_pm2.APPS} PM2 apps and {REDIS} Redis, for {SECONDS} s"
OURS = "muster-agent"
CONTROLLER = "muster-controller"
PM2 = "PM2's daemon"
FLOOR = "the link alone"  # an agent without probes
MONIT = "monit"
EXPORTERS = "exporters of host and Redis"
LOOK_SECONDS = 15  # how often the peers look, which is how often the agent reports what has not changed
PEERS = {"monit": "monit", "prometheus-node-exporter": "prometheus-node-exporter",
         "prometheus-redis-exporter": "prometheus-redis-exporter"}


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


class Peers:
    """What people run on a host to know of it: monit, which looks by itself, and exporters, which are asked."""

    def __init__(self, root, home, ports):
        self.root, self.home, self.ports, self.programs, self.over = Path(root), home, ports, [], threading.Event()

    def start(self, *arguments):
        with open(self.root / "peers.log", "a") as log:
            self.programs.append(subprocess.Popen(list(map(str, arguments)), stdin=subprocess.DEVNULL, stdout=log,
                                                  stderr=log, preexec_fn=harness.die_with_parent))
        return self.programs[-1].pid

    def scrape(self):
        while not self.over.wait(LOOK_SECONDS):
            for url in self.urls:
                with urllib.request.urlopen(url, timeout=10) as answer:
                    if "redis_up 0" in answer.read().decode():
                        return

    def check(self):
        if not self.scraper.is_alive() or any(program.poll() is not None for program in self.programs):
            raise harness.Failed(f"a peer has ended, or does not reach Redis: {(self.root / 'peers.log').read_text()[-1000:]}")

    def __enter__(self):
        settings = self.root / "monitrc"
        settings.write_text("\n".join([
            f"set daemon {LOOK_SECONDS}", *(f"set {name} {self.root}/monit.{name}" for name in ("log", "pidfile", "idfile",
                                                                                         "statefile")),
            "check system here", f"check process pm2 with pidfile {self.home.path}/pm2.pid",
            *(f"check host redis{i} with address 127.0.0.1 if failed port {port} protocol redis then alert"
              for i, port in enumerate(self.ports)), ""]))
        settings.chmod(0o600)
        host, redis = harness.free_port(), harness.free_port()
        self.urls = [f"http://127.0.0.1:{host}/metrics",
                     *(f"http://127.0.0.1:{redis}/scrape?target=redis://127.0.0.1:{port}" for port in self.ports)]
        try:
            self.monit = self.start("monit", "-I", "-c", settings)
            self.exporters = [self.start("prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{host}"),
                              self.start("prometheus-redis-exporter", "-web.listen-address", f"127.0.0.1:{redis}",
                                         "-redis.addr", "")]
            self.scraper = threading.Thread(target=self.scrape, daemon=True)
            self.scraper.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.over.set()
        for program in self.programs:
            program.kill()
            program.wait()


def run(_options):
    missing = [package for program, package in PEERS.items() if not shutil.which(program)]
    if missing:
        raise harness.Failed("the peers need packages: apt-get install " + " ".join(missing))
    harness.build_release("pm2_driver", "bench_light", "muster-agent", "muster-controller", "muster")
    names = (OURS, CONTROLLER, PM2, FLOOR, MONIT, EXPORTERS)
    harness.note_busy()  # before what is measured is there
    values, shares = {name: [] for name in names}, {name: [] for name in names}

    with harness.temporary_folder() as root, _pm2.Home() as home:
        servers = []
        try:
            for i in range(REDIS):
                folder = Path(root, f"redis{i}")
                folder.mkdir()
                servers.append(_redis.Redis(folder).__enter__())
            ports = [server.port for server in servers]
            Path(root, "light").mkdir()
            with Fleet(root, home, ports) as fleet, Peers(root, home, ports) as peers, \
                    _fleet.Fleet(Path(root, "light"), 1, light=True) as light:
                time.sleep(CLOSE_SECONDS)
                daemon = int((home.path / "pm2.pid").read_text())
                pids = {OURS: [fleet.agent], CONTROLLER: [fleet.controller], PM2: [daemon],
                        FLOOR: [light.agents.pid], MONIT: [peers.monit], EXPORTERS: peers.exporters}

                def spent():
                    return {name: sum(map(harness.cpu_s, of_it)) for name, of_it in pids.items()}

                for _ in range(SECONDS // SAMPLE_SECONDS):
                    before, began = spent(), time.monotonic()
                    time.sleep(SAMPLE_SECONDS)
                    after, took = spent(), time.monotonic() - began
                    for name, of_it in pids.items():
                        shares[name].append(100 * (after[name] - before[name]) / took)
                        values[name].append(sum(map(harness.memory_mib, of_it)))
                peers.check()
                own = harness.memory_mib(fleet.agent, "RssAnon")
                most = harness.memory_mib(fleet.agent, "VmHWM")
        finally:
            for server in servers:
                server.__exit__()
    each = "; ".join(f"{name} {statistics.median(share):.3f} ({min(share):.3f} to {max(share):.3f})"
                      for name, share in shares.items())
    share = statistics.median(shares[OURS])
    if share > SHARE_LIMIT:
        each = (f"{share:.3f} where {SHARE_LIMIT} was to be reached: what the agent reads takes all of it but the "
                f"link's own, and how that divides was not measured. {each}")
    return harness.Result(unit="resident, MiB", ours=OURS, floor=FLOOR, values=values, beside=(CONTROLLER, PM2), digits=2,
                          reach="at most 8 MiB resident, at most 0.1 % of a core", limit=8,
                          note=f"Share of a core in %: {each}. Of the agent's memory {own:.2f} MiB is its own, the "
                               f"rest is files, most of them libraries that others share; its peak was {most:.2f} MiB. The peers look every "
                               f"{LOOK_SECONDS} s, and at less: monit at the host, PM2's daemon as a process, and whether "
                               "each Redis answers; the exporters, asked for all they have, at the host and at Redis. The "
                               "floor is an agent that has the link and no probes.")
