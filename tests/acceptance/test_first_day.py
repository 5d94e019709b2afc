"""The first day of an administrator: one wrong setting after another, each with the words that help, then an addendum.

Everything is typed on a machine with a real systemd; what a person reads is ``systemctl status`` and ``dxatrend check``
The archive is Orthanc, the scanner DCMTK.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import peers
from tests.debian_machine import DebianMachine, debian_machine
from tests.factories.bundles import install

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # on a busy machine the bundle takes minutes

SERVICE_TOML = "/etc/dxatrend/service.toml"
ARCHIVE = {
    "DicomAet": "ARCHIVE",
    "DicomPort": 4242,
    "DicomCheckCalledAet": True,
    "DicomAlwaysAllowStore": True,
    "HttpPort": 8042,
    "AuthenticationEnabled": False,
    "StorageDirectory": "/tmp/orthanc",
    "IndexDirectory": "/tmp/orthanc",
}

TLS = """
openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=dxa -keyout our.key -out our.pem 2>/dev/null
chown dxatrend our.key && chmod 644 our.key
printf '[listener.tls]\\ncertificate = "our.pem"\\nkey = "our.key"\\nca = "our.pem"\\n' >>service.toml
"""


@pytest.fixture(scope="module")
def machine(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DebianMachine]:
    """A machine on which dxatrend is installed and configured, but for the AE title of the archive; never started."""
    with debian_machine(tmp_path_factory.mktemp("machine")) as made:
        install(bundle, made)
        (made.shared / "orthanc.json").write_text(json.dumps(ARCHIVE))
        made.start_program("archive", f"{peers.program('Orthanc')} /tmp/shared/orthanc.json")
        made.run("dxatrend init --scanner DXA1@127.0.0.1 --pacs PACS@127.0.0.1:4242 --time-zone Europe/Berlin")
        made.run(f"sed -i 's/^settle_seconds = 30/settle_seconds = 1/' {SERVICE_TOML}")
        yield made


@pytest.fixture
def mended(machine: DebianMachine) -> Iterator[DebianMachine]:
    """The machine, on which what a test breaks is mended afterwards."""
    machine.run(f"cp -a {SERVICE_TOML} /root/good.toml")
    yield machine
    machine.run("systemctl stop dxatrend occupant 2>/dev/null", check=False)
    machine.run("systemctl reset-failed dxatrend 2>/dev/null", check=False)
    machine.run(f"cp -a /root/good.toml {SERVICE_TOML}")
    machine.run("chown dxatrend:dxatrend-operators /var/lib/dxatrend/var && chmod 2770 /var/lib/dxatrend/var")


def status(machine: DebianMachine) -> str:
    return machine.run("systemctl status --full --no-pager dxatrend", check=False).stdout


def state(machine: DebianMachine) -> str:
    return machine.run("systemctl is-active dxatrend", check=False).stdout.strip()


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        pytest.param(
            "sed -i 's/^port = 11112/prot = 11112/' service.toml",
            "listener.prot: there is no such key; did you mean 'port'?",
            id="a key is misspelt",
        ),
        pytest.param(
            "sed -i 's/^port = 11112/port = \"DICOM\"/' service.toml",
            "listener.port: has to be a whole number from 1 to 65535",
            id="a port is no number",
        ),
        pytest.param(
            "sed -i 's/Berlin/Berlim/' service.toml",
            "exam.time_zone: no IANA time zone has this name",
            id="there is no such time zone",
        ),
    ],
)
def test_a_configuration_that_cannot_be_used_ends_the_start_with_the_line_and_the_key(
    mistake: str, words: str, mended: DebianMachine
) -> None:
    mended.run(mistake, folder="/etc/dxatrend")
    assert mended.run("systemctl start dxatrend", check=False).returncode != 0
    assert state(mended) == "failed"
    assert words in status(mended)
    assert "service.toml, line " in status(mended)
    checked = mended.run("dxatrend check", check=False)
    assert (checked.returncode, words in checked.stderr) == (2, True)


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        pytest.param(
            "chown root /var/lib/dxatrend/var && chmod 755 /var/lib/dxatrend/var",
            "/var/lib/dxatrend/var: Permission denied",
            id="the service may not write into the folder of the store",
        ),
        pytest.param(TLS, "our.key: others than its owner can read it; chmod 600", id="others can read the key"),
        pytest.param(
            "systemd-run --quiet --collect --unit occupant /usr/bin/python3 -m http.server 11112",
            "Address already in use (port 11112)",
            id="another program has the port",
        ),
        pytest.param(
            "systemd-run --quiet --collect --unit occupant /usr/bin/python3 -m http.server 4200",
            "another program has taken",
            id="another program has Prefect's port",
        ),
    ],
)
def test_what_keeps_the_service_from_starting_is_in_its_status(mistake: str, words: str, mended: DebianMachine) -> None:
    mended.run(mistake, folder="/etc/dxatrend")
    if "occupant" in mistake:
        port = mistake.split()[-1]
        peers.wait_until(lambda: f":{port}" in mended.run("ss -ltn").stdout)
    mended.run("systemctl start --no-block dxatrend")
    peers.wait_until(lambda: words in status(mended), seconds=120, what=f"the status says {words!r}")


def test_the_first_addendum_is_in_the_archive_once_each_message_was_followed(machine: DebianMachine) -> None:
    machine.run("systemctl enable --now dxatrend")
    assert state(machine) == "active"

    # A scanner with another AE title than was entered is rejected; the lines that let it in are printed.
    send = "/usr/bin/storescu --required -aec DXATREND 127.0.0.1 11112 /tmp/shared/reports/2020-02-11-1.dcm"
    assert machine.run(f"{send} -aet DXA9", check=False).returncode != 0
    lines = '[[listener.caller]]\nae_title = "DXA9"\nhost = "127.0.0.1"\n'
    peers.wait_until(lambda: lines in machine.run("dxatrend status").stdout, seconds=60, what="status has the lines")
    (machine.shared / "lines").write_text(f"\n{lines}")
    machine.run(f"cat /tmp/shared/lines >>{SERVICE_TOML}")

    # The archive has another AE title than was entered.
    checked = machine.run("dxatrend check", check=False)
    assert (checked.returncode, WRONG_TITLE in checked.stdout) == (1, True), checked.stdout
    machine.run(f'sed -i \'s/"PACS"/"ARCHIVE"/\' {SERVICE_TOML}')
    assert "restart needed" in machine.run("dxatrend status").stdout
    machine.run("systemctl restart dxatrend")
    assert "destination pacs: answers" in machine.run("dxatrend check", check=False).stdout

    machine.run(f"{send} -aet DXA9")
    count = (
        "import json, urllib.request as u; "
        "print(json.load(u.urlopen('http://127.0.0.1:8042/statistics'))['CountInstances'])"
    )
    peers.wait_until(
        lambda: machine.run(f'python3 -c "{count}"').stdout.strip() == "1", seconds=120, what="the addendum is there"
    )

    # Without an LSC no change will be judged: check says for which scanner, and what to do.
    checked = machine.run("dxatrend check", check=False)
    assert "no LSC counts today for" in checked.stdout
    assert "after a precision study: dxatrend precision" in checked.stdout


WRONG_TITLE = "destination pacs: it is not called PACS; correct ae_title to its own"
