"""Peers that go through ssh: one sshd of our own on as many addresses of loopback as hosts are asked for.

clush, ansible and sshd are used where they are installed: apt-get install clustershell ansible-core openssh-server.
OpenSSH's default key exchange is most of a cold connection's client CPU: cold clush is shown with curve25519 too."""
import getpass
import os
import shutil
import subprocess
import time
from pathlib import Path

import harness
from cases import _fleet

COLD, CURVE, WARM = "clush, cold", "clush, cold, curve25519", "clush, warm ControlMaster"
RAW, COMMAND = "ansible raw, warm", "ansible command, warm"


class Hosts:
    def __init__(self, count):
        self.names = [f"127.0.{1 + i // 200}.{1 + i % 200}" for i in range(count)]
        self.count, self.sshd = count, None
        self.has = {name: shutil.which(name) for name in ("sshd", "clush", "ansible")}

    def missing(self):
        lacking = [name for name, path in self.has.items() if not path]
        return f" Not installed, so not measured: {', '.join(lacking)}." if lacking else ""

    def __enter__(self):
        self.folder_owner = harness.temporary_folder()
        self.folder = Path(self.folder_owner.name)
        if self.has["sshd"]:
            try:
                self.start()
            except BaseException:
                self.__exit__()
                raise
        return self

    def start(self):
        folder, self.port = self.folder, harness.free_port()
        for key in ("host", "user"):
            harness.command(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], "making an ssh key")
        (folder / "authorized_keys").write_text((folder / "user.pub").read_text())
        (folder / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 0.0.0.0\nHostKey {folder}/host\nPidFile {folder}/sshd.pid\n"
            f"AuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"
            "MaxStartups 1000:30:2000\nMaxSessions 100\nPrintMotd no\n")
        Path("/run/sshd").mkdir(exist_ok=True)
        self.sshd = subprocess.Popen([self.has["sshd"], "-D", "-e", "-f", folder / "sshd_config"],
                                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                     stderr=open(folder / "sshd.log", "w"), preexec_fn=harness.die_with_parent)
        (folder / "home").mkdir()
        self.environment = {**os.environ, "HOME": str(folder / "home"), "ANSIBLE_HOST_KEY_CHECKING": "False",
                            "ANSIBLE_LOCAL_TEMP": str(folder / "tmp"), "ANSIBLE_REMOTE_TEMP": str(folder / "remote"),
                            "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3"}
        common = (f"Port {self.port}\nIdentityFile {folder}/user\nUser {getpass.getuser()}\nBatchMode yes\n"
                  "StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\nLogLevel ERROR\n")
        self.configs = {COLD: common, CURVE: common + "KexAlgorithms curve25519-sha256\n",
                        WARM: common + f"ControlMaster auto\nControlPersist 120\nControlPath {folder}/%h\n"}
        for name, text in self.configs.items():
            self.config(name).write_text(text)
        self.environment["ANSIBLE_SSH_ARGS"] = f"-F {self.config(WARM)}"  # instead of its own, whose masters linger
        (folder / "inventory").write_text("".join(f"{name} ansible_port={self.port}\n" for name in self.names))
        deadline = time.monotonic() + 20
        while subprocess.run(["ssh", "-F", self.config(COLD), "127.0.0.1", "true"], env=self.environment, check=False,
                             stdin=subprocess.DEVNULL, capture_output=True).returncode != 0:
            if time.monotonic() > deadline:
                raise harness.Failed(f"sshd does not answer: {(folder / 'sshd.log').read_text()[-500:]}")
            time.sleep(0.1)

    def config(self, name):
        return self.folder / (name.replace(",", "").replace(" ", "-") + ".conf")

    def clush(self, name):
        return [self.has["clush"], "-q", "-f", self.count, "-w", ",".join(self.names), "-o", f"-F {self.config(name)}",
                "true"]

    def ansible(self, module):
        return [self.has["ansible"], "all", "-i", self.folder / "inventory", "-f", self.count, "-m", module, "-a", "true"]

    def contenders(self):
        """Name -> command. The links of the warm ones are made here: a master that clush itself starts keeps
        clush's pipes open for as long as it lives."""
        found = {}
        if self.sshd and self.has["clush"]:
            found |= {name: self.clush(name) for name in (COLD, CURVE, WARM)}
        if self.sshd and self.has["ansible"]:
            found |= {RAW: self.ansible("raw"), COMMAND: self.ansible("command")}
        if len(found) > 0:
            masters = [subprocess.Popen(["ssh", "-F", self.config(WARM), "-f", "-N", name], env=self.environment,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                       for name in self.names]
            if any(master.wait(60) != 0 for master in masters):
                raise harness.Failed("a warm ssh link could not be made")
        return found

    def timed(self, name, arguments):
        return _fleet.timed(arguments, self.environment)

    def __exit__(self, *_):
        if self.sshd:
            for name in self.names:
                if (self.folder / name).exists():
                    subprocess.run(["ssh", "-F", self.config(WARM), "-O", "exit", name],
                                   stdin=subprocess.DEVNULL, capture_output=True, check=False)
            self.sshd.kill()
            self.sshd.wait()
        self.folder_owner.cleanup()
