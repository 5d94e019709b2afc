"""Start the real scanners, archives and databases that the tests talk to.

Each peer is a program that a department may really have, started on this machine in a folder of its own and stopped by
its own process id. Where the program is missing the test is skipped, and fails when ``CI=true``.
"""

import itertools
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

import httpx
import psycopg
import pytest
from playwright.sync_api import Browser, sync_playwright
from pydicom import Dataset, dcmread

from flows.prefect_environment import api_url, server_environment
from flows.prefect_password import make_password, password_file, read_password
from pipeline.edge.configuration.service_settings import PrefectSettings

LOOPBACK = "127.0.0.1"

_CHROMIUM_ARGUMENTS = (
    "--no-sandbox",  # it shows our own pages only, and a container's root has no other way
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

WITHOUT_DELAY = {"TCP_NODELAY": "1"}
"""With this in its environment a program that rests on DCMTK answers without waiting 40 ms to fill a packet."""


def missing(what: str) -> NoReturn:
    """Skip the test for want of a peer; with ``CI=true`` fail it."""
    reason = f"{what} is not installed; `make test` installs it from Debian's packages where it has the right to"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def program(name: str) -> str:
    """Where Debian has put a peer's program; pynetdicom brings programs of the same names into our own environment."""
    return shutil.which(name, path="/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin") or missing(name)


def font(path: str) -> str:
    """A font that Debian has put there."""
    return path if Path(path).exists() else missing(path)


def free_port() -> int:
    """A port nobody uses, never the same twice.

    It lies below the range from which the kernel serves outgoing connections, so that none of those takes it first.
    """
    return next(port for port in _ports if _is_free(port))


def wait_until(answer: Callable[[], object], *, seconds: float = 30, what: str = "") -> None:
    """Ask again until the answer is yes; fail the test when it stays no."""
    deadline = time.monotonic() + seconds
    while not answer():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds} s in vain{' until ' if what else ''}{what}")
        time.sleep(0.02)


def wait_until_logged(what: str, caplog: pytest.LogCaptureFixture, *, times: int = 1) -> None:
    """Wait until our own log tells something: a peer hears its answer before."""
    wait_until(lambda: caplog.text.count(what) >= times, what=f"the log tells {what!r}")


@contextmanager
def orthanc(
    folder: Path, *, modalities: Mapping[str, int] | None = None, dicomweb: bool = False
) -> Iterator["Orthanc"]:
    """Orthanc on loopback, stored in a folder; it knows the modalities given as AE title and port."""
    if dicomweb and not Path(DICOMWEB).exists():
        missing("orthanc-dicomweb")
    peer = Orthanc(folder, dicomweb=dicomweb)
    try:
        peer.start()
        for ae_title, port in (modalities or {}).items():
            peer.know(ae_title, port)
        yield peer
    finally:
        peer.close()


DICOMWEB = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
"""Orthanc's DICOMweb plugin, of Debian's orthanc-dicomweb."""


class Orthanc:
    """A PACS. It keeps its ports and what it holds across ``stop`` and ``start``, so that an outage can be played."""

    ae_title = "ORTHANC"
    host = LOOPBACK

    def __init__(self, folder: Path, *, dicomweb: bool = False) -> None:
        self.dicom_port, self.http_port = free_port(), free_port()
        self._plugins = [DICOMWEB] if dicomweb else []
        self._http = httpx.Client(base_url=f"http://{LOOPBACK}:{self.http_port}", trust_env=False, timeout=30)
        self._configuration = folder / "orthanc.json"
        self._configuration.write_text(json.dumps(self._settings(folder)))
        self._process = _Process(
            [program("Orthanc"), str(self._configuration)], log=folder / "orthanc.log", environment=WITHOUT_DELAY
        )

    def start(self) -> None:
        """Open the PACS, and return when it answers."""
        self._process.start()
        self._process.wait_until(self._answers)

    def stop(self) -> None:
        """Shut the PACS as an administrator would."""
        self._process.stop()

    def close(self) -> None:
        """Shut it for good, and at once: nobody will open it again."""
        self._http.close()
        self._process.stop(signal.SIGKILL)

    def know(self, ae_title: str, port: int) -> None:
        """Tell it of a modality on loopback: whom it may call back, and who may query it."""
        modality = {"AET": ae_title, "Host": LOOPBACK, "Port": port}
        self._http.put(f"/modalities/{ae_title}", json=modality).raise_for_status()

    def rest(self, path: str) -> Any:
        """What its REST API answers at a path."""
        return self._http.get(f"/{path.removeprefix('/')}").raise_for_status().json()

    def post(self, path: str, question: object) -> Any:
        """What its REST API answers to a question."""
        return self._http.post(f"/{path}", json=question).raise_for_status().json()

    def raw(self, path: str) -> bytes:
        """What its REST interface answers, as bytes."""
        return self._http.get(path).raise_for_status().content

    def find(self, level: str, **query: str) -> list[str]:
        """Its own ids of what it holds: level ``Patient``, ``Study``, ``Series`` or ``Instance``; query by keyword."""
        answer = self._http.post("/tools/find", json={"Level": level, "Query": query})
        found: list[str] = answer.raise_for_status().json()
        return found

    def instance(self, orthanc_id: str) -> Dataset:
        """One instance as it is stored."""
        return dcmread(BytesIO(self.file(orthanc_id)))

    def file(self, orthanc_id: str) -> bytes:
        """The DICOM file of one instance, byte for byte."""
        return self._http.get(f"/instances/{orthanc_id}/file").raise_for_status().content

    def _answers(self) -> bool:
        try:
            return self._http.get("/system").is_success
        except httpx.TransportError:
            return False

    def _settings(self, folder: Path) -> dict[str, object]:
        return {
            "Name": "tests",
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "storage"),
            "SyncStorageArea": True,
            "DicomAet": self.ae_title,
            "DicomPort": self.dicom_port,
            "DicomCheckCalledAet": True,
            "DicomAlwaysAllowEcho": True,
            "DicomAlwaysAllowStore": True,
            "DicomAlwaysAllowFind": True,
            "DicomModalitiesInDatabase": True,
            "HttpPort": self.http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "Plugins": self._plugins,
        }


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Debian's Chromium; nothing is downloaded."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program("chromium"), args=list(_CHROMIUM_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def postgres() -> Iterator["Postgres"]:
    """A PostgreSQL cluster of our own, gone afterwards."""
    # Its folder lies in /tmp: the server may run as another user, and the path of a socket must be short.
    with tempfile.TemporaryDirectory(prefix="dxatrend-", dir="/tmp") as folder:
        peer = Postgres(Path(folder))
        try:
            peer.start()
            yield peer
        finally:
            peer.stop()


class Postgres:
    """A database server, reached by a socket in its own folder and by no network."""

    def __init__(self, folder: Path) -> None:
        initdb = max(Path("/usr/lib/postgresql").glob("*/bin/initdb"), default=None) or missing("postgresql")
        self._folder, self._data = folder, folder / "data"
        self._numbers = itertools.count(1)
        owner = _postgres_user()
        if owner is not None:
            shutil.chown(folder, owner, owner)
        subprocess.run(
            [initdb, "-D", str(self._data), "-U", "dxatrend", "--auth=trust", "--locale=C.UTF-8", "--no-sync"],
            check=True,
            capture_output=True,
            cwd="/",
            **_as_user(owner),
        )
        self._process = _Process(
            [str(initdb.with_name("postgres")), "-D", str(self._data), "-k", str(folder), "-c", "listen_addresses="],
            log=folder / "postgres.log",
            end=signal.SIGINT,  # "fast": sessions are ended, not waited for
            user=owner,
        )

    def start(self) -> None:
        """Start the server, and return when it answers."""
        self._process.start()
        self._process.wait_until(self._answers)

    def stop(self) -> None:
        """Stop the server; its open sessions break."""
        self._process.stop()

    def refuse_to_write(self, refuse: bool) -> None:
        """Be a database that can be read only, or no longer."""
        with self._connect() as connection:
            connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {'on' if refuse else 'off'}")
            connection.execute("SELECT pg_reload_conf()")

    def fresh_database(self) -> str:
        """The SQLAlchemy URL of a new, empty database."""
        name = f"test{next(self._numbers)}"
        with self._connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://dxatrend@/{name}?host={self._folder}"

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(host=str(self._folder), user="dxatrend", dbname="postgres", autocommit=True)

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class PrefectServer:
    """A Prefect server on loopback, started with the environment that ``dxatrend prefect`` starts one with."""

    settings: PrefectSettings

    @property
    def url(self) -> str:
        """The address of its API."""
        return api_url(self.settings)

    @property
    def for_ours(self) -> dict[str, str]:
        """The variables by which our own commands find it, and may use it."""
        return {
            "DXATREND_SERVICE__PREFECT__API_URL": self.url,
            "DXATREND_SERVICE__PREFECT__PASSWORD_FILE": str(password_file(self.settings)),
        }

    def client(self) -> httpx.Client:
        """Somebody who knows the password."""
        return prefect_client(self.url, read_password(self.settings))


def prefect_client(url: str, password: str) -> httpx.Client:
    """An HTTP client that knows the password of a Prefect server, and has its token against forged requests."""
    user, _, secret = password.partition(":")
    asked = httpx.get(f"{url}/csrf-token?client=a-test", auth=(user, secret), trust_env=False, timeout=60)
    headers = {"Prefect-Csrf-Client": "a-test", "Prefect-Csrf-Token": asked.raise_for_status().json()["token"]}
    return httpx.Client(base_url=url, auth=(user, secret), headers=headers, trust_env=False, timeout=60)


@contextmanager
def prefect_server(
    folder: Path,
    *,
    database: str = "",
    end: signal.Signals = signal.SIGTERM,
    variables: Mapping[str, str] = MappingProxyType({}),
    without: Collection[str] = (),
) -> Iterator[PrefectServer]:
    """A Prefect server of the locked version, on SQLite unless told otherwise, with more variables or without some."""
    made = PrefectServer(PrefectSettings(host=LOOPBACK, port=free_port(), home=folder))
    environment = {**server_environment(made.settings, make_password(made.settings)), **variables}
    environment = {name: value for name, value in environment.items() if name not in without}
    if database:
        asynchronous = database.replace("+psycopg", "+asyncpg")
        environment["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = asynchronous
    server = _Process(
        [sys.executable, "-m", "prefect", "server", "start"],
        log=folder / "prefect.log",
        end=end,
        environment=environment,
    )

    def answers() -> bool:
        try:
            return httpx.get(f"{made.url}/health", trust_env=False, timeout=5).is_success
        except httpx.TransportError:
            return False

    try:
        server.start()
        server.wait_until(answers, seconds=180)
        yield made
    finally:
        server.stop()


def storescu(
    files: Sequence[Path],
    *,
    port: int,
    called: str,
    calling: str = "SCANNER1",
    host: str = LOOPBACK,
    options: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Send files in one association as DCMTK does; a return code of 0 means that every one was taken."""
    command = [program("storescu"), "--verbose", "--required", *options, "--aetitle", calling, "--call", called]
    return subprocess.run(
        [*command, host, str(port), *map(str, files)], capture_output=True, text=True, timeout=120, check=False
    )


@contextmanager
def storescp(folder: Path, *, options: Sequence[str] = (), synchronous: bool = False) -> Iterator[int]:
    """DCMTK's receiver on loopback, storing in a new folder; yields its port."""
    folder.mkdir()
    if synchronous:
        marked = subprocess.run(["chattr", "+S", str(folder)], capture_output=True, check=False)
        if marked.returncode != 0:
            missing("a file system with synchronous folders")
    port = free_port()
    command = [program("storescp"), *options, "--output-directory", str(folder), str(port)]
    server = _Process(command, log=folder.with_suffix(".log"), environment=WITHOUT_DELAY)
    try:
        server.start()
        server.wait_until(lambda: _listens(port))
        yield port
    finally:
        server.stop()


def echoscu(
    *, port: int, called: str, calling: str = "SCANNER1", options: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Ask for an echo as DCMTK does; a return code of 0 means that it was answered."""
    command = [program("echoscu"), "--verbose", *options, "--aetitle", calling, "--call", called]
    return subprocess.run([*command, LOOPBACK, str(port)], capture_output=True, text=True, timeout=120, check=False)


@contextmanager
def small_disk(folder: Path, *, megabytes: int) -> Iterator["SmallDisk"]:
    """A file system of its own that is soon full."""
    if os.geteuid() != 0:
        missing("the right to mount a small disk")
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], check=True)
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


class SmallDisk:
    """A disk that can be made larger while it is in use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write_protect(self, protect: bool) -> None:
        """Be a disk that can be read only, or no longer; nobody may have a file open for writing."""
        subprocess.run(["mount", "-o", f"remount,{'ro' if protect else 'rw'}", str(self.folder)], check=True)

    def grow(self, megabytes: int) -> None:
        """Make room, as an administrator would."""
        subprocess.run(["mount", "-o", f"remount,size={megabytes}m", str(self.folder)], check=True)


@contextmanager
def fragile_disk(folder: Path, *, megabytes: int) -> Iterator["FragileDisk"]:
    """A disk that can fail while it is in use."""
    if os.geteuid() != 0 or not Path("/dev/loop-control").exists():
        pytest.skip("a disk that can fail needs the right to mount a file as one, and a kernel that can")
    disk = FragileDisk(folder, megabytes=megabytes)
    disk.mount()
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


class FragileDisk:
    """A file system in a file, which the kernel lets nobody write any more once it has failed."""

    def __init__(self, folder: Path, *, megabytes: int) -> None:
        self.folder = folder
        self._image = folder.with_suffix(".ext4")
        with self._image.open("wb") as image:
            image.truncate(megabytes * 2**20)
        subprocess.run([program("mkfs.ext4"), "-q", str(self._image)], check=True)
        folder.mkdir()

    def mount(self) -> None:
        """Be there."""
        subprocess.run(["mount", "-o", "loop", str(self._image), str(self.folder)], check=True)

    def fail(self) -> None:
        """Be a disk that has reported an error, as ext4 takes it: nothing more is written, whoever has a file open."""
        subprocess.run(["mount", "-o", "remount,abort", str(self.folder)], check=True)

    def repair(self) -> None:
        """Be checked and mounted again, as after a restart; nobody may have a file open."""
        subprocess.run(["umount", str(self.folder)], check=True)
        checked = subprocess.run(
            [program("e2fsck"), "-p", str(self._image)], capture_output=True, text=True, check=False
        )
        assert checked.returncode in (0, 1), checked.stdout  # 1: errors were corrected
        self.mount()


class _Process:
    """A program that runs until it is stopped, and what it said."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        end: signal.Signals = signal.SIGTERM,
        environment: Mapping[str, str] | None = None,
        user: str | None = None,
    ) -> None:
        self._command, self._log, self._end, self._user = command, log, end, user
        self._environment = {**os.environ, **(environment or {})}
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert self._running is None, "it runs already"
        with self._log.open("ab") as log:
            self._running = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                cwd="/",
                **_as_user(self._user),
            )

    def wait_until(self, ready: Callable[[], bool], *, seconds: float = 60) -> None:
        assert self._running is not None, "it was never started"
        deadline = time.monotonic() + seconds
        while not ready():
            code = self._running.poll()
            if code is not None or time.monotonic() > deadline:
                fate = f"ended with {code}" if code is not None else f"was not ready after {seconds} s"
                pytest.fail(f"{self._command[0]} {fate}:\n{self._log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)

    def stop(self, how: signal.Signals | None = None) -> None:
        if self._running is None:
            return
        self._running.send_signal(how or self._end)
        try:
            self._running.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._running.kill()
            self._running.wait()
        self._running = None


_ports = itertools.count(int(os.environ.get("TEST_PORTS", 20_000 + os.getpid() % 10_000)))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def _postgres_user() -> str | None:
    """Whom the database server must run as: it refuses root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        missing("postgresql")


def _as_user(user: str | None) -> dict[str, Any]:
    return {"user": user, "group": user, "extra_groups": []} if user else {}
