"""A Redis with an AOF that has grown: a base and several times as much beside it."""
import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import harness

KEYS = 1_200_000
BASE_WRITES = 1_500_000
MORE_WRITES = 3_500_000
VALUE_BYTES = 128


class Redis:
    """with Redis(folder) as redis: a server on the folder, from its start on; it loads what is there."""

    def __init__(self, folder):
        self.folder = Path(folder)

    def __enter__(self):
        self.port = harness.free_port()
        self.buffer = b""
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", "",
             "--appendonly", "yes", "--appendfsync", "no", "--auto-aof-rewrite-percentage", "0"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=harness.die_with_parent)
        deadline = self.began + 20
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=20)
                return self
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    self.__exit__()
                    raise harness.Failed(f"redis-server does not come up in {self.folder}") from None
                time.sleep(0.002)

    def __exit__(self, *_):
        """Killed: nothing is to be written on the way down."""
        if hasattr(self, "socket"):
            self.socket.close()
        self.process.kill()
        self.process.wait()

    def read(self, size=None):
        """A line without its end, or size bytes and the end after them."""
        while (b"\r\n" not in self.buffer) if size is None else len(self.buffer) < size + 2:
            more = self.socket.recv(1 << 16)
            if not more:
                raise harness.Failed("redis-server closed the connection")
            self.buffer += more
        size = self.buffer.index(b"\r\n") if size is None else size
        text, self.buffer = self.buffer[:size], self.buffer[size + 2:]
        return text.decode()

    def ask(self, command):
        self.socket.sendall(command.encode() + b"\r\n")
        line = self.read()
        return self.read(int(line[1:])) if line.startswith("$") else line

    def info(self, section="persistence"):
        return dict(re.findall(r"(?m)^(\w+):([^\r\n]*)", self.ask(f"INFO {section}")))

    def cpu_us(self):
        """What the server's main thread, which is the one that loads, has spent."""
        pid = self.process.pid
        return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) // 1000

    def load(self, every=0.02):
        """Seconds until loaded, and what was seen meanwhile: (us, CPU us, loaded, total, Redis's own seconds left).
        The last is the load's end."""
        samples = []
        while True:
            info, cpu = self.info(), self.cpu_us()
            at = int((time.monotonic() - self.began) * 1e6)
            if info["loading"] == "0":
                return at / 1e6, samples, (at, cpu)
            samples.append((at, cpu, int(info["loading_loaded_bytes"]), int(info["loading_total_bytes"]),
                            int(info["loading_eta_seconds"])))
            time.sleep(every)

    def write(self, count):
        arguments = ["-p", self.port, "-t", "set", "-d", VALUE_BYTES, "-r", KEYS, "-n", count, "-P", "64", "-q"]
        harness.command(["redis-benchmark", *map(str, arguments)], "writing into Redis")

    def rewrite(self):
        before = int(self.info("stats").get("aof_rewrites") or self.info()["aof_rewrites"])
        self.ask("BGREWRITEAOF")
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            info = self.info()
            if (info["aof_rewrite_in_progress"], info["aof_rewrite_scheduled"]) == ("0", "0") and \
                    int(info["aof_rewrites"]) > before:
                return
            time.sleep(0.05)
        raise harness.Failed("the rewrite does not end")

    def sizes(self):
        """Bytes of the base and of all incremental files, by the manifest."""
        folder = self.folder / "appendonlydir"
        sizes = {"b": 0, "i": 0, "h": 0}
        for name, kind in re.findall(r"file (\S+) seq \d+ type (\w)", (folder / "appendonly.aof.manifest").read_text()):
            sizes[kind] += (folder / name).stat().st_size
        return sizes["b"], sizes["i"]


def grown(folder):
    """Makes the data in folder; returns (base bytes, incremental bytes, memory used)."""
    for program in ("redis-server", "redis-benchmark"):
        if not shutil.which(program):
            raise harness.Failed(f"no {program} on PATH: apt-get install redis-server redis-tools")
    os.makedirs(folder)
    with Redis(folder) as redis:
        redis.load()
        redis.write(BASE_WRITES)
        redis.rewrite()
        redis.write(MORE_WRITES)
        # What was written must be in the file before the server is killed.
        redis.ask("CONFIG SET appendfsync always")
        redis.ask("SET last 1")
        return (*redis.sizes(), int(redis.info("memory")["used_memory"]))


NOTHING_LEARNED = ["0"] * 6


def foretell(clock, samples, base, learned):
    """What muster's own code says to each sample: (low, high) in us, or None; and what it has learned by the end of
    this load, for the next one. clock: which of a sample's fields is the time."""
    text = "".join(f"{sample[clock]} {sample[2]}\n" for sample in samples)
    done = subprocess.run([harness.BUILD / "bench" / "bench_load", "left", str(base), str(samples[0][3]), *learned],
                          input=text, capture_output=True, text=True, check=True)
    *lines, rate = done.stdout.splitlines()
    return [None if line == "-" else tuple(map(int, line.split())) for line in lines], rate.split()
