"""A PM2 home of its own with many small apps, for the PM2 benches. Nothing of it outlives the bench."""
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import harness

# Fewer (BENCH_PM2_APPS=30) while the machine has other work; what is recorded is with all of them.
APPS = int(os.environ.get("BENCH_PM2_APPS", "133"))
DRIVER = harness.BUILD / "tests" / "integration" / "pm2_driver"
# Each app says that its own code runs by one byte more in a file: "online" only means that PM2 spawned it.
APP = "require('fs').appendFileSync(process.env.BENCH_MARK, 'x'); setInterval(() => {}, 1000);\n"
ECOSYSTEM = """module.exports = {apps: Array.from({length: %d}, (_, i) => ({
        name: 'app' + String(i).padStart(3, '0'), script: '%s', env: {PORT: 3000 + i, SECRET: 'x'.repeat(64)}}))};
"""


def processes_of(folder):
    """The processes with a PM2 home below folder: daemons and apps are nobody's children."""
    wanted, found = f"PM2_HOME={folder}/".encode(), []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if any(part.startswith(wanted) for part in (entry / "environ").read_bytes().split(b"\0")):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def cpu_seconds(folder, but=None):
    """What the home's processes have used since they began, all threads together."""
    nanoseconds = 0
    for pid in processes_of(folder):
        if pid == but:
            continue
        for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            try:
                nanoseconds += int(thread.read_text().split()[0])
            except OSError:
                continue
    return nanoseconds / 1e9


# Ends the home's processes when the bench was killed before it could.
WATCH = """trap '' INT TERM
tail --pid="$1" -f /dev/null
[ -d "$2" ] || exit 0
for environ in /proc/[0-9]*/environ; do
        if tr '\\0' '\\n' <"$environ" 2>/dev/null | grep -q "^PM2_HOME=$2/"; then
                pid=${environ#/proc/}
                kill -9 "${pid%/environ}"
        fi
done
rm -rf "$2"
"""


class Home:
    """with Home() as home: a daemon with APPS apps, all running. Their ids have a gap, as those of any home that
    has lived a while."""

    def __enter__(self):
        self.program = shutil.which("pm2")
        if not self.program or not shutil.which("node"):
            raise harness.Failed("no pm2 or node on PATH: npm install -g pm2")
        self.folder = harness.temporary_folder()
        root = Path(self.folder.name)
        self.path, self.snapshots, self.mark, self.script = (root / "pm2", root / "snapshots", root / "mark",
                                                             root / "app.js")
        self.path.mkdir()
        self.script.write_text(APP)
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(root), "PM2_HOME": str(self.path),
                            "PM2_DISABLE_VERSION_CHECK": "1", "BENCH_MARK": str(self.mark)}
        # No home in its environment: it must not find itself.
        subprocess.Popen(["setsid", "sh", "-c", WATCH, "watch", str(os.getpid()), str(root)],
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            ecosystem = root / "ecosystem.config.js"
            ecosystem.write_text(ECOSYSTEM % (APPS + 1, self.script))
            self.mark.touch()
            self.pm2("start", ecosystem, at_once=APPS)
            self.wait_running(APPS + 1)
            self.pm2("delete", f"app{APPS // 2:03}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for pid in processes_of(self.folder.name):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        deadline = time.monotonic() + 10
        while processes_of(self.folder.name) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.folder.cleanup()

    def _run(self, arguments, good, environment):
        began = time.monotonic()
        done = subprocess.run([str(argument) for argument in arguments], env=environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=180, check=False)
        took = time.monotonic() - began
        if done.returncode not in good:
            raise harness.Failed(f"exit {done.returncode}: {' '.join(map(str, arguments))}: "
                                 f"{done.stdout[-500:]}")
        return took, done

    def pm2(self, *arguments, at_once=None):
        """Seconds that the command took, and its output."""
        environment = dict(self.environment)
        if at_once:
            environment["PM2_CONCURRENT_ACTIONS"] = str(at_once)
        took, done = self._run([self.program, *arguments], (0,), environment)
        return took, done.stdout

    def driver(self, *arguments, good=(0,)):
        """muster's own part, agent/pm2, driven from the command line. Seconds, exit code and output."""
        took, done = self._run([DRIVER, self.path, self.snapshots, *arguments], good, {"PATH": "/usr/bin:/bin"})
        return took, done.returncode, done.stdout

    def states(self):
        """How many apps there are in each state."""
        counts = {}
        for line in self.driver("brief")[2].splitlines():
            state = line.split()[2]
            counts[state] = counts.get(state, 0) + 1
        return counts

    def running(self):
        return self.mark.stat().st_size

    def wait_running(self, count, seconds=120):
        """Until count apps have run their first line since the mark was emptied."""
        deadline = time.monotonic() + seconds
        while self.running() < count:
            if time.monotonic() > deadline:
                raise harness.Failed(f"only {self.running()} of {count} apps run after {seconds} s")
            time.sleep(0.005)

    def all_running(self):
        if self.states() != {"online": APPS}:
            os.truncate(self.mark, 0)
            self.pm2("start", "all", at_once=APPS)
            self.wait_running(APPS)

    def restore(self):
        os.truncate(self.mark, 0)
        self.driver("restore", "bench", "settle=100")
        self.wait_running(APPS)

    def node_alone(self):
        """The same apps without PM2. Their processes; seconds until all run."""
        mark = Path(self.folder.name, "mark-alone")
        mark.write_bytes(b"")
        began = time.monotonic()
        processes = [subprocess.Popen(["node", str(self.script)], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                      env={**self.environment, "BENCH_MARK": str(mark)}) for _ in range(APPS)]
        try:
            deadline = began + 120
            while mark.stat().st_size < APPS:
                if time.monotonic() > deadline:
                    raise harness.Failed("node alone does not get its processes to run")
                time.sleep(0.005)
        except BaseException:
            end(processes, signal.SIGKILL)
            raise
        return processes, time.monotonic() - began


def end(processes, how):
    """Seconds until all have ended."""
    began = time.monotonic()
    for process in processes:
        process.send_signal(how)
    for process in processes:
        process.wait()
    return time.monotonic() - began
