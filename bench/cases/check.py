"""A check of a whole fleet that is read live for it: three real hosts, one with 133 PM2 apps, five Redis and a tile38."""
import concurrent.futures
import json
import os
import subprocess
import time
from pathlib import Path

import harness
from cases import _restart, restart

OURS, HAND, AT_ONCE, FLOOR = ("muster check --json", "a person's commands, host after host",
                              "the same, all hosts at once", "the servers' own answers")
ABOUT = "a fleet-wide check of three real hosts, 133 PM2 apps among them, from typing it to its end"
# What a person would look at by hand before a restart: units, disks, each Redis, tile38, the apps.
ANY_HOST = "systemctl is-system-running; systemctl --failed --no-legend; df -h /; free -m; date; " \
           "systemctl is-enabled muster-agent"
UNITS = "systemctl is-enabled {units}; systemctl show -p ActiveState,TimeoutStopUSec,TimeoutStartUSec,Type {units}"
REDIS = "redis-cli -p {port} info; redis-cli -p {port} config get save; redis-cli -p {port} config get dir"
TILE38 = "redis-cli -p 9851 healthz; redis-cli -p 9851 server; redis-cli -p 9851 info persistence"
PM2 = f"runuser -u beamdevlive -- env HOME={_restart.HOME} PM2_HOME={_restart.HOME}/.pm2 PM2_CONCURRENT_ACTIONS=16 pm2"
DRIVER = "/opt/pm2_driver"  # muster's own part, agent/pm2, by itself
# Fewer (BENCH_PM2_APPS=60) while the machine has other work; what is recorded is with all of them.
APPS = int(os.environ.get("BENCH_PM2_APPS", "133"))
# Beside the fixture's own, so that the home holds as many as the fleet that muster was made for.
MORE = """module.exports = {apps: Array.from({length: %d}, (_, i) => ({
        name: 'more' + i, script: '/srv/more.js', env: {PORT: 3000 + i, SECRET: 'x'.repeat(64)}}))};
"""


def commands():
    """{host: what is typed there}"""
    typed = {}
    for host in ("db1", "db2", "app1"):
        units = {"app1": [_restart.ROUTER]}.get(host, list(_restart.REDIS.get(host, {})))
        lines = [ANY_HOST, UNITS.format(units=" ".join(units))]
        lines += [REDIS.format(port=port) for port in _restart.REDIS.get(host, {}).values()]
        lines += {"db1": [TILE38], "app1": ["redis-cli -p 6400 ping", f"{PM2} jlist"]}.get(host, [])
        typed[host] = "; ".join(lines)
    return typed


class Hosts:
    def __init__(self):
        self.typed = commands()
        self.leader = {host: _restart.leader(host) for host in self.typed}
        self.address = {host: _restart.testbed("address", host).strip() for host in self.typed}
        self.pool = concurrent.futures.ThreadPoolExecutor(16)
        _restart.testbed("push", "app1", str(harness.BUILD / "tests/integration/pm2_driver"), DRIVER)

    def enter(self, host, *command):
        return subprocess.run(["nsenter", "-t", self.leader[host], "-m", "-u", "-i", "-n", "-p", *command],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              timeout=60, check=False).stdout

    def look(self, host):
        text = self.enter(host, "sh", "-c", self.typed[host])
        if host == "app1" and len(json.loads(text[text.index("[{"):])) != APPS:
            raise harness.Failed(f"pm2 jlist does not list {APPS} apps")
        if host != "app1" and "role:master" not in text:
            raise harness.Failed(f"no Redis answers on {host}")

    def by_hand(self):
        for host in self.typed:
            self.look(host)

    def at_once(self):
        list(self.pool.map(self.look, self.typed))

    def answers(self):
        """Each server asked the one thing that says most, all at once, by nothing but a socket."""
        work = [self.pool.submit(_restart.ask, self.address[host], port, "INFO")
                for host, ports in _restart.REDIS.items() for port in ports.values()]
        work.append(self.pool.submit(_restart.ask, self.address["db1"], 9851, "SERVER"))
        work.append(self.pool.submit(self.enter, "app1", DRIVER, f"{_restart.HOME}/.pm2", "/run", "brief"))
        if not all(future.result() for future in work):
            raise harness.Failed("a server does not answer")


def more_apps():
    write = "import sys; open('/srv/more.js', 'w').write('setInterval(() => {}, 1000);'); " \
            "open('/srv/more.config.js', 'w').write(sys.argv[1])"
    listed = json.loads(_restart.testbed("run", "app1", "sh", "-c", f"{PM2} jlist"))
    _restart.testbed("run", "app1", "python3", "-c", write, MORE % (APPS - len(listed)))
    _restart.testbed("run", "app1", "sh", "-c", f"{PM2} start /srv/more.config.js")


def timed(work):
    began = time.monotonic()
    work()
    return (time.monotonic() - began) * 1e3


def run(options):
    restart.prepare()
    control = Path(os.environ["TESTBED_DIR"], "control")

    def check():
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=60, check=False)
        if done.returncode not in (0, 1):  # 1: something blocks, which is an answer too
            raise harness.Failed(f"muster check: exit {done.returncode}: {done.stderr.strip()[-500:]}")
        late = [finding["evidence"] for finding in json.loads(done.stdout)["findings"] if finding["id"] == "connected"]
        if late:
            raise harness.Failed(f"not all was read: {late[0]}")

    try:
        restart.fleet_up()
        command = [next(control.glob("tree/**/bin/muster")), "--identity", control / "state/admin", "check", "--json"]
        more_apps()
        restart.control("muster", "pm2", "save", "apps")  # so that there is a snapshot to compare with
        _restart.wait("services at rest", restart.settled)
        harness.settle()
        hosts = Hosts()
        values = harness.rounds({OURS: lambda: timed(check), HAND: lambda: timed(hosts.by_hand),
                                 AT_ONCE: lambda: timed(hosts.at_once), FLOOR: lambda: timed(hosts.answers)},
                                options.rounds)
    finally:
        restart.control("down")
        _restart.testbed("down")
    return harness.Result(
        unit="ms from typing to exit", ours=OURS, floor=FLOOR, values=values, digits=0, reach="under 1,000 ms", limit=1000,
        note="muster reads every host, unit, Redis, tile38 and PM2 anew for it, compares the apps with their last "
             "snapshot and with PM2's dump, and judges; the commands by hand only print what a person then has to read. "
             "The floor asks each server one question, all at once.")
