"""What the benches share: building, servers that end with us, rounds, tables, the record of results."""
import ctypes
import dataclasses
import datetime
import os
import re
import select
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "release"
PEERS = BUILD / "bench_peers"
RESULTS = ROOT / "bench" / "results.md"


class Failed(Exception):
    """What a person is told; the run ends with exit 1."""


@dataclasses.dataclass
class Result:
    """values: per contender, one figure a round. ours and floor name contenders; peers are all others but those
    in beside (shown, not compared). limit: what ours has to reach, as a figure; bound: what keeps it from that."""
    unit: str
    ours: str
    floor: str
    values: dict
    more_is_better: bool = False
    beside: tuple = ()
    digits: int = 1
    reach: str = ""
    limit: float = None
    bound: str = ""
    note: str = ""


# --- building ---------------------------------------------------------------------------------------------

def command(arguments, what, advice=""):
    """Runs a quiet command; its output is shown only when it fails."""
    done = subprocess.run(arguments, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False)
    if done.returncode != 0:
        sys.stderr.write(done.stdout[-4000:])
        raise Failed(f"{what} failed ({' '.join(map(str, arguments))})" + (f": {advice}" if advice else ""))


def build_release(*targets):
    command(["cmake", "--preset", "release"], "configuring muster")
    command(["ninja", "-C", BUILD, *targets], "building " + " ".join(targets))


def build_peers():
    packages = {"protoc": "protobuf-compiler", "grpc_cpp_plugin": "protobuf-compiler-grpc", "c++": "g++",
                "openssl": "openssl", "pkg-config": "pkg-config"}
    missing = [package for program, package in packages.items() if not shutil.which(program)]
    if missing:
        raise Failed("the peers need packages: apt-get install libgrpc++-dev libnng-dev " + " ".join(missing))
    command(["cmake", "-S", ROOT / "bench" / "peers", "-B", PEERS, "-G", "Ninja"], "configuring the peers",
            "apt-get install libgrpc++-dev protobuf-compiler-grpc libnng-dev")
    command(["ninja", "-C", PEERS], "building the peers")


def certificate(folder):
    """A self-signed certificate for localhost: cert.pem, key.pem, and both.pem as nng wants it."""
    command(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
             "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"], "making a certificate")
    both = Path(folder, "cert.pem").read_text() + Path(folder, "key.pem").read_text()
    Path(folder, "both.pem").write_text(both)


# --- programs ---------------------------------------------------------------------------------------------

LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A program that prints "ready" when it serves; it ends with the with block, and with us."""

    def __init__(self, arguments, wait_seconds=20):
        self.arguments = [str(argument) for argument in arguments]
        self.wait_seconds = wait_seconds

    def __enter__(self):
        self.process = subprocess.Popen(self.arguments, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                        preexec_fn=die_with_parent)
        ready, _, _ = select.select([self.process.stdout], [], [], self.wait_seconds)
        line = self.process.stdout.readline() if ready else b""
        if line.strip() != b"ready":
            self.__exit__()
            raise Failed(f"the server does not come up: {' '.join(self.arguments)}")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def client(arguments, seconds):
    """Runs a client to its end; returns the figures of its line "name=number ..."."""
    arguments = [str(argument) for argument in arguments]
    try:
        done = subprocess.run(arguments, stdout=subprocess.PIPE, text=True, timeout=seconds,
                              preexec_fn=die_with_parent, check=False)
    except subprocess.TimeoutExpired:
        raise Failed(f"no end within {seconds:.0f} s: {' '.join(arguments)}") from None
    if done.returncode != 0:
        raise Failed(f"exit {done.returncode}: {' '.join(arguments)}")
    return {name: float(value) for name, value in re.findall(r"(\w+)=([0-9.]+)", done.stdout)}


def temporary_folder():
    return tempfile.TemporaryDirectory(prefix="muster-bench-")


# --- rounds and results -----------------------------------------------------------------------------------

BUSY_WINDOW_SECONDS = 0.5
BUSY_LIMIT = 0.3  # cores; beyond this, figures say more about the machine's other work
busy_samples = []


def busy_cores():
    """How many cores others keep busy while we do nothing."""
    def idle():
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
        return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")

    before, began = idle(), time.monotonic()
    time.sleep(BUSY_WINDOW_SECONDS)
    return max(0.0, os.cpu_count() - (idle() - before) / (time.monotonic() - began))


def note_busy():
    """For the record. A bench whose own servers or apps are never at rest calls it before it starts them."""
    busy_samples.append(busy_cores())


def settle(seconds=30):
    """Waits until what a bench itself has just started is at rest; a machine that stays busy is seen by the rounds."""
    until = time.monotonic() + seconds
    while busy_cores() > BUSY_LIMIT / 2 and time.monotonic() < until:
        pass


def cpu_s(pid):
    """What a process has spent, by its own clock as clock_getcpuclockid(3) names it: ended threads count too."""
    return time.clock_gettime((~pid << 3) | 2)


def memory_mib(pid, field="VmRSS"):
    """Of a process, by /proc/PID/status: VmHWM is its peak."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise Failed(f"process {pid} has ended")


def rounds(contenders, count, own_load=False):
    """contenders: name -> function that measures once. Each round runs all, starting one further on each time, so
    that a slow moment of the machine meets them all. own_load: what works between rounds is the bench's own, and
    note_busy was called before it."""
    names = list(contenders)
    values = {name: [] for name in names}
    for number in range(count):
        if not own_load:
            note_busy()
        first = number % len(names)
        for name in names[first:] + names[:first]:
            if sys.stderr.isatty():
                print(f"\rround {number + 1}/{count}: {name:40}", end="", file=sys.stderr, flush=True)
            values[name].append(contenders[name]())
    if sys.stderr.isatty():
        print("\r" + " " * 60 + "\r", end="", file=sys.stderr)
    return values


def best_peer(result):
    peers = {name: statistics.median(values) for name, values in result.values.items()
             if name not in (result.ours, result.floor, *result.beside)}
    if not peers:
        return None, None
    name = (max if result.more_is_better else min)(peers, key=peers.get)
    return name, peers[name]


def rows(result):
    order = sorted(result.values.items(), key=lambda item: statistics.median(item[1]),
                   reverse=result.more_is_better)
    for name, values in order:
        role = "ours" if name == result.ours else "floor" if name == result.floor else \
            "beside" if name in result.beside else "peer"
        yield (name, role, *(f"{figure:,.{result.digits}f}"
                             for figure in (statistics.median(values), min(values), max(values))))


def machine():
    model = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    busy = f", others busy on {max(busy_samples):.1f} cores" if busy_samples else ""
    return (f"{len(os.sched_getaffinity(0))} cores, {model.group(1).strip() if model else os.uname().machine}, "
            f"Linux {os.uname().release}{busy}")


def table(result):
    count = len(next(iter(result.values.values())))
    lines = [f"| contender ({result.unit}, {count} rounds) | is | median | min | max |", "|---|---|---|---|---|"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows(result)]


def reach_text(result):
    """To reach what, and whether it was; else by how much not, and what bounds it."""
    text = f"To reach: {result.reach}."
    if result.limit is None:
        return text
    ours = statistics.median(result.values[result.ours])
    if ours >= result.limit if result.more_is_better else ours <= result.limit:
        return text + " Reached."
    missed = f"{abs(ours - result.limit):,.{result.digits}f} ({abs(ours / result.limit - 1) * 100:.0f} %)"
    return f"{text} Not reached, by {missed}: {result.bound}."


def result_text(name, result):
    header = (f"{name} ({result.unit})", "", "median", "min", "max")
    cells = [header, *rows(result)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = [machine()]
    for row in cells:
        lines.append("  ".join([row[0].ljust(widths[0]), row[1].ljust(widths[1])] +
                               [cell.rjust(width) for cell, width in zip(row[2:], widths[2:])]))
    if result.reach:
        lines.append(reach_text(result))
    if result.note:
        lines.append(result.note)
    return "\n".join(lines)


def result_line(name, result):
    def figure(value):
        return "-" if value is None else f"{value:.{result.digits}f}"

    ours = statistics.median(result.values[result.ours])
    floor = statistics.median(result.values[result.floor]) if result.floor in result.values else None
    _, peer = best_peer(result)
    ratio = "-" if peer is None else f"{ours / peer:.2f}"
    return f"{name}: ours={figure(ours)} peer={figure(peer)} floor={figure(floor)} ratio={ratio}"


def record(name, result):
    """Replaces the bench's section of results.md, if the machine had nothing else to do."""
    if max(busy_samples, default=0) > BUSY_LIMIT:
        print(f"not recorded: others kept {max(busy_samples):.1f} cores busy; run it on a quiet machine",
              file=sys.stderr)
        return
    title = f"## {name}"
    text = RESULTS.read_text() if RESULTS.exists() else "# What was measured\n"
    section = [title, "", f"{datetime.date.today()}, {machine()}.", "", *table(result), ""]
    if result.reach:
        section += [reach_text(result), ""]
    if result.note:
        section += [result.note, ""]
    section += [f"`{result_line(name, result)}`", ""]
    parts = re.split(r"(?m)^(?=## )", text)
    parts = [part.rstrip() + "\n\n" for part in parts if part.split("\n", 1)[0] != title]
    RESULTS.write_text("".join(parts) + "\n".join(section))
