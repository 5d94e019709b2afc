"""A listener and a worker under attack, watched from outside by a scanner that sends one report after the other."""

import itertools
import json
import multiprocessing
import os
import signal
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread

from pipeline.edge.dicom_net.tls import for_calling
from tests import peers
from tests.factories.attacks import LARGE, Attack, Target
from tests.factories.certificates import Authority
from tests.factories.fast_scanner import Object, Scanner, copies
from tests.factories.reports import encode
from tests.factories.service import Service
from tests.folders import ROOT, SAMPLES

REPORT = SAMPLES / "08-excluded-vertebra" / "2021-04-29-1.dcm"
PICTURE = SAMPLES / "13-hologic-pictures" / "2021-10-13-1.dcm"

HONEST = "127.0.0.2"
"""The address of the scanner that is to be served; the attacks come from another, as another device has another."""

ATTACK_SECONDS = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Suffered:
    """What an attack did: the seconds each answer to the scanner took, and the peak memory of both processes in MB."""

    answers: tuple[float, ...]
    listener: float
    worker: float


class Siege:
    """A listener and a worker on one store, in processes of their own, watched from outside."""

    def __init__(self, folder: Path, *, store: str, url: str = "") -> None:
        self.name = store
        self.tls: ssl.SSLContext | None = None
        self._told_at = peers.free_port()
        called = {"ae_title": "SCANNER1", "host": peers.LOOPBACK, "port": self._told_at}
        callers = [called, {"ae_title": "SCANNER2", "host": HONEST}]
        self._environment = {"DXATREND_SERVICE__LISTENER__CALLER": json.dumps(callers)}
        self.service = Service(folder / "service", destination_port=1, url=url)
        if store == "TLS":
            authority = Authority(folder / "authority")
            ours, theirs = authority.sign("dxatrend"), authority.sign("scanner")
            shown = {"certificate": str(ours.certificate), "key": str(ours.key), "ca": str(ours.ca)}
            self._environment["DXATREND_SERVICE__LISTENER__TLS"] = json.dumps(shown)
            self.tls = for_calling(theirs.settings)
        self._numbers = itertools.count()
        self.service.begin("listen", environment=self._environment)
        peers.wait_until(self._is_heard, seconds=60, what="the listener answers")
        self._worker = self._start_worker()
        self._keep_a_large_object()

    def attacked(self, attack: Attack, *, pause: float = 0.05) -> Suffered:
        """Let it be attacked while a scanner sends, with so many seconds between its reports."""
        for pid in self._processes():
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # counting of the peak starts again; see proc(5)
        target = Target(self.service.port, self.tls, time.monotonic() + ATTACK_SECONDS)
        attacker = multiprocessing.get_context("fork").Process(target=attack, args=(target,))
        attacker.start()
        answers = []
        try:
            while attacker.is_alive() and time.monotonic() < target.until + 20:
                answers.append(self.hear())
                time.sleep(pause)
        finally:
            attacker.kill()
            attacker.join()
        answers.append(self.hear())
        listener, worker = (_peak_megabytes(pid) for pid in self._processes())
        return Suffered(answers=tuple(answers), listener=listener, worker=worker)

    def hear(self) -> float:
        """Send one report; the seconds that takes."""
        (sent,) = copies(REPORT, 1, first=next(self._numbers))
        began = time.monotonic()
        names = {"called": "DXATREND", "calling": "SCANNER2", "source": HONEST}
        with Scanner(self.service.port, **names, seconds=60, tls=self.tls) as scanner:
            assert scanner.store(sent) == 0x0000
            scanner.release()
        return time.monotonic() - began

    def end(self) -> None:
        """End both processes."""
        os.killpg(self._worker.pid, signal.SIGKILL)
        self._worker.wait()
        self.service.kill()

    def _is_heard(self) -> bool:
        try:
            self.hear()
        except OSError:
            return False
        return True

    def _start_worker(self) -> "subprocess.Popen[bytes]":
        with self.service.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dxatrend", "--config", str(self.service.config), "work"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env=os.environ | self._environment,
                start_new_session=True,
            )

    def _keep_a_large_object(self) -> None:
        picture = dcmread(PICTURE)
        picture.PixelData, picture.SOPInstanceUID = bytes(20_000_000), LARGE.sop_instance_uid
        classes = (LARGE.sop_class_uid,)
        with Scanner(self.service.port, called="DXATREND", sop_classes=classes, tls=self.tls) as scanner:
            assert scanner.store(Object(LARGE.sop_class_uid, LARGE.sop_instance_uid, encode(picture))) == 0x0000

    def _processes(self) -> tuple[int, int]:
        return self.service.process_group(), self._worker.pid


def _peak_megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1024
