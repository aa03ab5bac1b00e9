"""A controller and many agents on loopback: real ones, a process each, or light ones, all in one process."""
import json
import os
import resource
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import harness

NAME_OF_ALL = "@all"
TIMED_SECONDS = 300


class Fleet:
    def __init__(self, root, count, light):
        self.root, self.count, self.light, self.programs = Path(root), count, light, []
        self.address = f"127.0.0.1:{harness.free_port()}"
        self.environment = {**os.environ, "MUSTER_IDENTITY": str(self.root / "state" / "admin")}
        self.said, self.news = [], threading.Condition()  # what the light agents say: (word, us)

    def start(self, *arguments, **more):
        with open(self.root / "log", "a") as log:
            self.programs.append(subprocess.Popen(list(map(str, arguments)), stdin=subprocess.DEVNULL,
                                                  stderr=log, preexec_fn=self.child, **{"stdout": log, **more}))
        return self.programs[-1]

    @staticmethod
    def child():
        harness.die_with_parent()
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    def start_controller(self):
        self.controller = self.start(harness.BUILD / "controller" / "muster-controller", "--fleet",
                                     self.root / "fleet.yaml", "--listen", self.address, "--state",
                                     self.root / "state")

    def muster(self, *arguments):
        return subprocess.run([harness.BUILD / "cli" / "muster", *arguments], env=self.environment, text=True,
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=60, check=False)

    def wait(self, what, holds, seconds=120):
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                raise harness.Failed(f"{what}: not within {seconds} s: {(self.root / 'log').read_text()[-1000:]}")
            time.sleep(0.05)

    def connected(self):
        done = self.muster("status", "--json")
        return done.returncode == 0 and sum(host["connected"] for host in json.loads(done.stdout)["hosts"]) == self.count

    def listen(self, stream):
        for line in stream:
            word, when = line.decode().split()
            with self.news:
                self.said.append((word, int(when)))
                self.news.notify_all()

    def heard(self, word, after_us, seconds=120):
        """When the light agents said it first after a moment, in us of the monotonic clock."""
        def first():
            return next((when for said, when in self.said if said == word and when > after_us), None)

        with self.news:
            if not self.news.wait_for(first, seconds):
                raise harness.Failed(f"'{word}' was not heard within {seconds} s")
            return first()

    def __enter__(self):
        hosts = [f"  host{i + 1}: {{groups: [all]}}" for i in range(self.count)]
        (self.root / "fleet.yaml").write_text("\n".join(["fleet: bench", "hosts:", *hosts, "services: {}", ""]))
        light = harness.BUILD / "bench" / "bench_light"
        harness.command([light, "keys", self.root / "state", self.address, str(self.count), self.root / "agents"],
                        "making keys")
        try:
            self.start_controller()
            self.wait("the controller answers", lambda: self.muster("audit", "ls").returncode == 0)
            if self.light:
                self.agents = self.start(light, "agents", self.count, self.root / "agents", stdout=subprocess.PIPE)
                threading.Thread(target=self.listen, args=(self.agents.stdout,), daemon=True).start()
            else:
                for i in range(self.count):
                    self.start(harness.BUILD / "agent" / "muster-agent", "--state", self.root / "agents" / f"host{i + 1}")
            self.wait("all agents are connected", self.connected)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for program in self.programs:
            program.kill()
        for program in self.programs:
            program.wait()


def timed(arguments, environment=None):
    """Seconds from starting a command to its end, and the CPU seconds of it and all it waited for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryFile("w+") as said:  # no pipe: what lingers would keep it open
        began = time.monotonic()
        process = subprocess.Popen(list(map(str, arguments)), env=environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=said, start_new_session=True,
                                   preexec_fn=harness.die_with_parent)
        try:
            process.wait(TIMED_SECONDS)
        except BaseException as why:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if isinstance(why, subprocess.TimeoutExpired):
                raise harness.Failed(f"no end within {TIMED_SECONDS} s: {' '.join(map(str, arguments))}") from None
            raise
        took = time.monotonic() - began
        said.seek(0)
        complaint = said.read()[-500:]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode != 0:
        raise harness.Failed(f"exit {process.returncode}: {' '.join(map(str, arguments))}: {complaint}")
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
