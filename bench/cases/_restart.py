"""A restart's critical path by what the hosts themselves wrote down, and the same restart by a plain script.

The path is put together from lengths only, never from when something began: how long a server's rewrite, a unit's
stop, a boot and a load took by the journal of its own host, and PM2 and Node by the line that each app writes when it
serves. Whatever a restart takes beyond that is the cost of whoever coordinated it."""
import concurrent.futures
import os
import re
import socket
import subprocess
import time
from pathlib import Path

import harness

TESTBED = harness.ROOT / "tests" / "testbed" / "testbed"
FIXTURES = harness.ROOT / "tests" / "testbed" / "fixtures"
HOME = "/var/www/beamdevlive"
REDIS = {"db1": {"redis-stack-server@bds00": 6379, "redis-stack-server@bds01": 6381},
         "db2": {"redis-stack-server@bull00": 6377, "redis-stack-server@bull01": 6378,
                 "redis-stack-server@bull02": 6376}}
MASTER, REPLICA, GEO, ROUTER = ("redis-stack-server@bds00", "redis-stack-server@bds01", "tile38@beamdevlive",
                                "redis-router")
POLL = 0.01
DEADLINE = 180


def testbed(*arguments):
    done = subprocess.run([TESTBED, *arguments], text=True, capture_output=True, stdin=subprocess.DEVNULL,
                          timeout=DEADLINE, check=False)
    if done.returncode != 0:
        raise harness.Failed(f"testbed {' '.join(arguments)}: {done.stderr.strip()[-500:]}")
    return done.stdout


def wait(what, holds):
    deadline = time.monotonic() + DEADLINE
    while True:
        value = holds()
        if value:
            return value
        if time.monotonic() > deadline:
            raise harness.Failed(f"waited in vain for {what}")
        time.sleep(POLL)


# --- what a host has written down -------------------------------------------------------------------------

def journal(host, since, unit=None):
    """[(seconds, text)] of a unit, or of the whole host."""
    which = [f"--unit={unit}"] if unit else []
    text = testbed("run", host, "journalctl", "--no-pager", "--quiet", "--output=short-unix", f"--since=@{since:.3f}",
                   *which)
    lines = (line.split(" ", 1) for line in text.splitlines() if line[:1].isdigit())
    return [(float(at), rest) for at, rest in lines]


def said(lines, pattern, after=0.0, last=False):
    times = [at for at, text in lines if at >= after and re.search(pattern, text)]
    if not times:
        raise harness.Failed(f"no line like '{pattern}' in a host's journal")
    return times[-1] if last else times[0]


class Unit:
    def __init__(self, host, name, since, rebooted):
        lines = journal(host, since, name)
        stopping = [at for at, text in lines if at < rebooted and re.search(r"systemd\[1\]: Stopping ", text)]
        self.stop = said(lines, r"systemd\[1\]: Stopped ", stopping[-1]) - stopping[-1] if stopping else 0.0
        self.compaction, began = 0.0, None
        for at, text in lines:
            if at < rebooted and "Background append only file rewriting started" in text:
                began = at
            elif at < rebooted and "Background AOF rewrite finished successfully" in text and began:
                self.compaction, began = self.compaction + at - began, None
        self.lines, self.rebooted = lines, rebooted

    def up(self, pattern, last=False):
        """From the reboot's beginning until it said so."""
        return said(self.lines, pattern, self.rebooted, last) - self.rebooted


def app_lines(word):
    boot = testbed("run", "app1", "cat", "/proc/sys/kernel/random/boot_id").strip()
    lines = [line.split() for line in testbed("run", "app1", "cat", "/var/log/beamdevlive/starts.log").splitlines()]
    return [int(line[0]) / 1e3 for line in lines if line[1] == boot and line[3] == word]


def path(since, hold, settle):
    """The restart that began at `since`: seconds of its critical path, gates held for `hold`, apps for `settle`."""
    rebooted = {host: said(journal(host, since, "systemd-logind"), "will reboot now|is rebooting")
                for host in ("db1", "db2", "app1")}
    names = {"db1": [MASTER, REPLICA, GEO], "db2": list(REDIS["db2"]), "app1": [ROUTER]}
    units = {name: Unit(host, name, since, rebooted[host]) for host in names for name in names[host]}

    # a replica rewrites its file by itself after a resync; nobody asked it to
    compacted = max(sum(units[name].compaction for name in names[host] if name != REPLICA) for host in ("db1", "db2"))
    before_master = max(units[ROUTER].stop, units[REPLICA].stop)
    down = {"app1": units[ROUTER].stop, "db2": max(units[name].stop for name in names["db2"]),
            "db1": max(before_master + units[MASTER].stop, units[GEO].stop)}
    down = {host: compacted + length for host, length in down.items()}

    ready = {name: down["db2"] + units[name].up("Ready to accept connections") for name in names["db2"]}
    ready[MASTER] = down["db1"] + units[MASTER].up("Ready to accept connections")
    ready[GEO] = down["db1"] + units[GEO].up("AOF loaded|Ready to accept connections", last=True)
    replica = down["db1"] + units[REPLICA].up("sync: Finished with success", last=True) + hold
    # what HAProxy's own health check takes after it runs and the master serves
    serves = max(rebooted["app1"] + units[ROUTER].up("Started redis-router"),
                 rebooted["db1"] + units[MASTER].up("Ready to accept connections"))
    noticed = max(0.0, said(units[ROUTER].lines, "Started redis-router|is UP", rebooted["app1"], last=True) - serves)
    router = max(down["app1"] + units[ROUTER].up("Started redis-router"), ready[MASTER]) + noticed
    needs = max(*(at + hold for at in ready.values()), router + hold)
    daemon = said(journal("app1", rebooted["app1"]), r"systemd\[1\]: Start(ed|ing) (muster-pm2-[\w-]+|script-pm2)\.service")
    node = max(app_lines("ready")) - daemon
    return max(needs + node + settle, replica), {
        "rewrites": compacted, "stops": max(down.values()) - compacted,
        "boot and load": max(ready.values()) - min(down.values()), "HAProxy's check": noticed, "PM2 and Node": node}


# --- the plain script ------------------------------------------------------------------------------------

def leader(host):
    nspawn = Path(os.environ["TESTBED_DIR"], "hosts", host, "nspawn").read_text().split()[0]
    for child in Path(f"/proc/{nspawn}/task/{nspawn}/children").read_text().split():
        if re.search(r"(?m)^NSpid:.*\t1$", Path(f"/proc/{child}/status").read_text()):
            return child
    raise OSError(f"{host} has no PID 1")


def enter(host, *command):
    subprocess.run(["nsenter", "-t", leader(host), "-m", "-u", "-i", "-n", "-p", *command], stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=DEADLINE, check=False)


def ask(address, port, *words):
    """A Redis's answer as text; "" while there is none."""
    try:
        with socket.create_connection((address, port), 2) as link:
            link.settimeout(2)
            link.sendall((" ".join(words) + "\r\n").encode())
            answer = link.recv(65536)
            while answer[:1] == b"$" and len(answer) < int(answer[1:answer.index(b"\r")]):
                answer += link.recv(65536)
            return answer.decode()
    except (OSError, ValueError):
        return ""


class Script:
    """Rewrites, stops, reboots and starts in the order of the needs; polls, holds nothing, verifies nothing."""

    def __init__(self, apps):
        self.apps, self.address = apps, {host: testbed("address", host).strip() for host in ("db1", "db2", "app1")}

    def rewrite(self, host):
        for port in REDIS[host].values():
            if port == 6381:
                continue
            before = re.search(r"aof_rewrites:\d+", ask(self.address[host], port, "INFO", "persistence")).group()
            ask(self.address[host], port, "BGREWRITEAOF")
            wait("a rewrite", lambda: "aof_rewrite_in_progress:0" in (
                info := ask(self.address[host], port, "INFO", "persistence")) and before not in info)

    def pm2(self, word):
        enter("app1", "systemd-run", "--quiet", "--collect", f"--unit=script-pm2-{word}" if word != "resurrect" else
              "--unit=script-pm2", "--property=Type=forking" if word == "resurrect" else "--wait",
              "--property=User=beamdevlive", f"--setenv=HOME={HOME}", f"--setenv=PM2_HOME={HOME}/.pm2", "pm2", word)

    def reboot(self, host, units):
        if units:
            enter(host, "systemctl", "stop", *units)
        before = self.boot(host)
        enter(host, "systemctl", "reboot")
        wait(f"the new boot of {host}", lambda: self.boot(host) not in ("", before))

    @staticmethod
    def boot(host):
        try:
            return Path(f"/proc/{leader(host)}/root/proc/sys/kernel/random/boot_id").read_text()
        except OSError:
            return ""

    def tile38_is_loaded(self):
        """Older ones know no HEALTHZ, and do not listen before they have loaded."""
        answer = ask(self.address["db1"], 9851, "HEALTHZ").lower()
        return "ok" in answer or ("unknown command" in answer and "aof_size" in ask(self.address["db1"], 9851, "SERVER"))

    def served(self):
        try:
            boot = self.boot("app1").strip()
            text = Path(f"/proc/{leader('app1')}/root/var/log/beamdevlive/starts.log").read_text()
        except OSError:
            return 0
        return sum(f" {boot} " in line and line.endswith(" ready") for line in text.splitlines())

    def run(self):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            def together(*work):
                for future in [pool.submit(*piece) for piece in work]:
                    future.result()

            together((self.rewrite, "db1"), (self.rewrite, "db2"), (self.pm2, "save"))
            self.pm2("kill")
            enter("app1", "systemctl", "stop", ROUTER)
            enter("db1", "systemctl", "stop", REPLICA, GEO)
            together((self.reboot, "db1", [MASTER]), (self.reboot, "db2", list(REDIS["db2"])), (self.reboot, "app1", []))
            for host, port in (("db2", 6377), ("db2", 6378), ("db2", 6376), ("db1", 6379), ("app1", 6400)):
                wait(f"PONG from {host}", lambda: ask(self.address[host], port, "PING").startswith("+PONG"))
            wait("tile38", self.tile38_is_loaded)
            self.pm2("resurrect")
            wait("the apps", lambda: self.served() >= self.apps)
            wait("the replica", lambda: "master_link_status:up" in ask(self.address["db1"], 6381, "INFO", "replication"))
