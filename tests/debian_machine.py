"""A Debian machine of its own for tests: systemd as its first process, its own network, and a copy of this root.

Linux namespaces separate it: processes, mounts, network, host name and control groups. Its files are those of this
machine, seen through an overlay in memory, so nothing that happens on it is seen here. Without the right to make
namespaces the test is skipped, and fails when ``CI=true``.
"""

import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests import peers

_SYSTEMD = "/lib/systemd/systemd"

_BOOT = f"""
set -eu
work=$1
# A control group of its own is the root of what this systemd manages.
mount --make-rprivate /
mkdir "$work/cgroups" "$work/memory" "$work/root"
mount -t cgroup2 cgroup2 "$work/cgroups"
mkdir "$work/cgroups/$2"
echo $$ >"$work/cgroups/$2/cgroup.procs"
umount "$work/cgroups"
exec unshare --cgroup sh -eu -c '
    work=$1 root=$1/root
    mount -t tmpfs tmpfs "$work/memory"
    mkdir "$work/memory/upper" "$work/memory/work"
    mount -t overlay -o "lowerdir=/,upperdir=$work/memory/upper,workdir=$work/memory/work" overlay "$root"
    mount -t proc proc "$root/proc"
    mount -t sysfs sysfs "$root/sys"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    mount -t tmpfs -o mode=755 tmpfs "$root/dev"
    mkdir "$root/dev/pts" "$root/dev/shm"
    for device in null zero full random urandom tty; do
        touch "$root/dev/$device"
        mount --bind "/dev/$device" "$root/dev/$device"
    done
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
    mount -t tmpfs -o mode=755 tmpfs "$root/run"
    mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
    mkdir "$root/tmp/shared"
    mount --bind "$work/shared" "$root/tmp/shared"
    ip link set lo up
    # Nothing that this machine runs, or has of dxatrend, is there.
    rm -rf "$root"/etc/systemd/system/*.wants "$root"/lib/systemd/system/multi-user.target.wants
    rm -rf "$root/opt/dxatrend" "$root/etc/dxatrend" "$root/var/lib/dxatrend" "$root/var/log/journal"
    cd "$root"
    exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin \\
        chroot "$root" {_SYSTEMD} --system --unit=multi-user.target
' sh "$work"
"""


@contextmanager
def debian_machine(folder: Path) -> Iterator["DebianMachine"]:
    """A machine that has started, and is switched off in the end; ``folder`` is empty and outlasts it."""
    if not Path(_SYSTEMD).exists():
        peers.missing("systemd")
    if os.geteuid() != 0:
        peers.missing("the right to make namespaces (root)")
    machine = DebianMachine(folder)
    try:
        machine.start()
        yield machine
    finally:
        machine.switch_off()


class DebianMachine:
    """One machine; what is in ``shared`` here is in ``/tmp/shared`` there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._name = f"dxatrend-test-{os.getpid()}-{time.monotonic_ns()}"
        self.shared = folder / "shared"
        self.shared.mkdir()
        self._log = folder / "boot.log"
        self._outer: subprocess.Popen[bytes] | None = None
        self._init = 0

    def start(self) -> None:
        """Start it, and return when systemd has."""
        namespaces = ["--mount", "--pid", "--fork", "--kill-child", "--net", "--ipc", "--uts"]
        boot = ["sh", "-c", _BOOT, "sh", str(self._folder), self._name]
        with self._log.open("wb") as log:
            # It ends with the tests, however they end.
            command = ["setpriv", "--pdeathsig", "KILL", "unshare", *namespaces, *boot]
            self._outer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        peers.wait_until(self._is_running, seconds=60, what=f"systemd runs: {self._log}")

    def switch_off(self) -> None:
        """End everything on it at once."""
        if self._outer is not None:
            self._outer.kill()  # and with it, by --kill-child, the first process of the machine
            self._outer.wait()
        for parent in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):  # where this machine has them
            peers.wait_until(partial(_is_removed, Path(parent) / self._name), what="the control group is gone")

    def run(
        self, command: str, *, user: str | None = None, check: bool = True, folder: str = "/", seconds: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Type a command on it, as root or another user; with ``check`` a failure fails the test with its output."""
        if user is not None:
            command = f"runuser -u {user} -- sh -c {shlex.quote(command)}"
        ran = subprocess.run(
            [*self._enter(), "sh", "-c", f"cd {folder} && {command}"],
            cwd="/",
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert not check or ran.returncode == 0, f"{command}: {ran.returncode}\n{ran.stdout}\n{ran.stderr}"
        return ran

    def start_program(self, name: str, command: str) -> None:
        """Start a program that goes on until ``systemctl stop`` of this name."""
        self.run(f"systemd-run --quiet --collect --unit {name} {command}")

    def journal(self, unit: str = "dxatrend") -> str:
        """All that a unit has logged."""
        return self.run(f"journalctl --unit {unit} --output cat --no-pager").stdout

    def _enter(self) -> list[str]:
        return ["nsenter", "--target", str(self._init), "--mount", "--pid", "--net", "--ipc", "--uts", "--root", "--wd"]

    def _is_running(self) -> bool:
        assert self._outer is not None
        if self._outer.poll() is not None:
            raise AssertionError(f"the machine did not start: {self._log.read_text()}")
        children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children").read_text().split()
        if not children:
            return False
        self._init = int(children[0])
        if b"systemd" not in Path(f"/proc/{self._init}/cmdline").read_bytes().split(b"\0")[0]:
            return False
        return self.run("systemctl is-system-running", check=False).stdout.strip() in ("running", "degraded")


def _is_removed(group: Path) -> bool:
    """Remove a control group and those in it, which the system allows once no process is in them."""
    remove = ["find", str(group), "-depth", "-type", "d", "-delete"]
    return not group.exists() or subprocess.run(remove, capture_output=True, check=False).returncode == 0
