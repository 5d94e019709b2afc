"""The bundle on a machine of its own, with a real systemd and without network: install, run, upgrade, remove."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import peers
from tests.debian_machine import DebianMachine, debian_machine
from tests.factories.bundles import install, later_bundle

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # on a busy machine the bundle takes minutes

REPORTS = ("2020-02-11-1.dcm", "2022-02-15-1.dcm", "2024-02-20-1.dcm")
ARCHIVE_PORT = 11113


@pytest.fixture(scope="module")
def machine(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DebianMachine]:
    """A machine on which an administrator has installed, configured and started dxatrend; its archive runs beside."""
    with debian_machine(tmp_path_factory.mktemp("machine")) as made:
        install(bundle, made)
        made.run(
            f"dxatrend init --scanner DXA1@127.0.0.1 --pacs ARCHIVE@127.0.0.1:{ARCHIVE_PORT} --time-zone Europe/Berlin"
        )
        made.run("sed -i 's/^settle_seconds = 30/settle_seconds = 1/' /etc/dxatrend/service.toml")
        made.run("useradd --groups dxatrend-operators mary && useradd stranger")
        made.run("mkdir /tmp/archive")
        made.start_program("archive", f"/usr/bin/storescp --output-directory /tmp/archive {ARCHIVE_PORT}")
        made.run("systemctl enable --now dxatrend")
        yield made


def send(machine: DebianMachine, report: str) -> None:
    machine.run(f"/usr/bin/storescu --required -aet DXA1 -aec DXATREND 127.0.0.1 11112 /tmp/shared/reports/{report}")


def addenda(machine: DebianMachine) -> int:
    return len(machine.run("ls /tmp/archive").stdout.split())


def show(machine: DebianMachine, name: str) -> str:
    return machine.run(f"systemctl show dxatrend --property {name} --value").stdout.strip()


def wait_until_active(machine: DebianMachine) -> None:
    peers.wait_until(lambda: show(machine, "ActiveState") == "active", seconds=120, what="the service is active")


def received(machine: DebianMachine) -> str:
    (line,) = (line for line in machine.run("dxatrend status").stdout.splitlines() if line.startswith("received "))
    return line.partition(" in the last 24 hours")[0]


def version_in_use(machine: DebianMachine) -> str:
    return machine.run("cat $(dirname $(readlink -f /opt/dxatrend/.venv))/VERSION").stdout.strip()


def test_the_bundle_installs_without_network_and_the_first_report_is_answered(machine: DebianMachine) -> None:
    assert machine.run("ip -o link").stdout.count("\n") == 1  # the loopback alone
    assert machine.run("dxatrend --version", folder="/usr").stdout.startswith("dxatrend ")
    wait_until_active(machine)
    send(machine, REPORTS[0])
    peers.wait_until(lambda: addenda(machine) == 1, seconds=120, what="the archive has the addendum")


def test_installing_again_changes_nothing(machine: DebianMachine) -> None:
    before = machine.run("ls -lAn /opt/dxatrend /etc/dxatrend; getent group dxatrend-operators").stdout
    started = show(machine, "ExecMainStartTimestamp")
    machine.run("/tmp/shared/bundle/install")
    assert show(machine, "ExecMainStartTimestamp") == started
    links = ("total", ".venv", "docs", "uninstall")
    assert [line for line in before.splitlines() if not any(word in line for word in links)] == [
        line
        for line in machine.run(
            "ls -lAn /opt/dxatrend /etc/dxatrend; getent group dxatrend-operators"
        ).stdout.splitlines()
        if not any(word in line for word in links)
    ]


def test_a_bundle_that_was_damaged_on_its_way_is_refused(machine: DebianMachine) -> None:
    machine.run("cp -r /tmp/shared/bundle /root/damaged && echo >>/root/damaged/requirements.lock")
    refused = machine.run("/root/damaged/install", check=False)
    assert refused.returncode == 1
    assert "the bundle is damaged" in refused.stderr


@pytest.mark.parametrize("folder", ["/", "/etc/dxatrend", "/usr/share"])
@pytest.mark.parametrize("user", [None, "mary"], ids=["root", "an operator"])
def test_root_and_operators_find_the_store_from_any_folder(
    user: str | None, folder: str, machine: DebianMachine
) -> None:
    status = machine.run("dxatrend status", user=user, folder=folder)
    assert "received   1 in the last 24 hours" in status.stdout
    assert status.stderr == ""


def test_whoever_is_not_in_the_group_is_told_so_and_sees_nothing(machine: DebianMachine) -> None:
    refused = machine.run("dxatrend status", user="stranger", check=False)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "you may not read this folder; the members of the group dxatrend-operators may" in refused.stderr
    assert machine.run("cat /var/lib/dxatrend/var/dxatrend.sqlite3", user="stranger", check=False).returncode == 1


def test_what_root_and_operators_leave_the_service_can_use(machine: DebianMachine) -> None:
    machine.run("systemctl stop dxatrend")
    machine.run("dxatrend backup /var/lib/dxatrend/backups/a.sqlite3 && rm /var/lib/dxatrend/var/dxatrend.sqlite3*")
    machine.run("dxatrend load /tmp/shared/reports", user="mary")  # makes a store
    machine.run("systemctl start dxatrend && systemctl stop dxatrend")
    machine.run("dxatrend restore /var/lib/dxatrend/backups/a.sqlite3 --replace")  # as root
    machine.run("systemctl start dxatrend")
    sent = addenda(machine)
    send(machine, REPORTS[1])
    peers.wait_until(lambda: addenda(machine) == sent + 1, seconds=120, what="the archive has the addendum")


DATA = "/var/lib/dxatrend"
PREFECT = f"{DATA}/private/prefect"


def refused(machine: DebianMachine, command: str) -> bool:
    """Whether an operator may not do something."""
    ran = machine.run(command, user="mary", check=False)
    return ran.returncode != 0 and ("Permission denied" in ran.stderr or "not permitted" in ran.stderr)


def test_into_the_home_of_prefect_no_operator_gets_anything(machine: DebianMachine) -> None:
    """Whoever could write there could run programs as the service."""
    wait_until_active(machine)
    assert machine.run(f"test -s {PREFECT}/password && stat --format %U:%a {PREFECT}").stdout.strip() == "dxatrend:700"
    for command in (
        f"echo 'active = \"x\"' >{PREFECT}/profiles.toml",
        f"cat {PREFECT}/password",
        f"ln -sf /tmp/mine {PREFECT}/server.log",
        f"mv {PREFECT} {DATA}/var/prefect",
        f"mv -T {DATA}/private {DATA}/var/private",
        f"chmod 777 {DATA}/private",
        f"mkdir {DATA}/.config",  # the home of the service's user
        f"mv {DATA}/var {DATA}/moved",
        f"ln -s /tmp {DATA}/another",
    ):
        assert refused(machine, command), command
    assert machine.run(f"ls -A {DATA}").stdout.split() == ["backups", "private", "var"]


def test_operators_move_no_backup_of_the_service_and_keep_their_own(machine: DebianMachine) -> None:
    machine.run(f"dxatrend backup {DATA}/backups/mine.sqlite3", user="mary")
    machine.run(f"runuser -u dxatrend -- dxatrend backup {DATA}/backups/ours.sqlite3")
    assert refused(machine, f"mv {DATA}/backups/ours.sqlite3 {DATA}/backups/other.sqlite3")
    machine.run(f"rm {DATA}/backups/mine.sqlite3", user="mary")


def test_a_service_is_not_started_with_a_home_of_prefect_where_operators_can_write(machine: DebianMachine) -> None:
    machine.run("echo DXATREND_SERVICE__PREFECT__HOME=var/prefect >/etc/dxatrend/environment")
    machine.run("systemctl stop dxatrend")
    machine.run(f"mkdir --parents {DATA}/var/prefect", user="mary")
    assert machine.run("systemctl start dxatrend", check=False).returncode != 0
    problem = f"prefect.home: {DATA}/var/prefect: the group dxatrend-operators can write to {DATA}/var, and so run"
    assert problem in machine.journal()
    checked = machine.run("dxatrend check", check=False)
    assert (checked.returncode, problem in checked.stdout) == (1, True)
    machine.run(f"rm -r /etc/dxatrend/environment {DATA}/var/prefect; systemctl restart dxatrend")
    wait_until_active(machine)


def test_what_an_operator_puts_into_a_data_folder_of_an_earlier_version_root_neither_follows_nor_trusts(
    machine: DebianMachine,
) -> None:
    machine.run("systemctl stop dxatrend && mkdir --mode 755 /precious")
    machine.run(f"rm -r {DATA}/private && chown dxatrend {DATA} && chmod 2770 {DATA}")  # as it was made then
    machine.run(f"mv backups backups.moved && ln -s /precious backups && mkdir {PREFECT} -p", user="mary", folder=DATA)
    said = machine.run("/tmp/shared/bundle/install && systemctl start dxatrend").stdout
    assert "moved aside, because operators could have made it" in said
    assert machine.run("stat --format %U:%a /precious").stdout.strip() == "root:755"
    assert machine.run(f"stat --format %U:%G:%a {DATA}").stdout.strip() == "root:dxatrend-operators:2750"
    assert machine.run(f"stat --format %U:%G:%a {PREFECT}").stdout.strip() == "dxatrend:dxatrend:700"
    machine.run(f"rm -r {DATA}/backups {DATA}/private.* && mv {DATA}/backups.moved {DATA}/backups")


def test_the_service_takes_no_code_or_setting_from_where_operators_can_write(machine: DebianMachine) -> None:
    wait_until_active(machine)
    main = show(machine, "MainPID")
    assert machine.run(f"readlink /proc/{main}/cwd").stdout.strip().endswith("/etc/dxatrend")
    assert "PYTHONSAFEPATH=1" in machine.run(f"tr '\\0' '\\n' </proc/{main}/environ").stdout.splitlines()
    assert machine.run("touch /etc/dxatrend/prefect.toml", user="mary", check=False).returncode == 1


def test_what_an_upgrade_that_was_killed_has_stopped_is_started_when_it_is_run_again(machine: DebianMachine) -> None:
    machine.run("systemctl stop dxatrend && echo dxatrend.service >/opt/dxatrend/.stopped")
    machine.run("/tmp/shared/bundle/install")
    assert show(machine, "ActiveState") == "active"
    assert machine.run("ls -A /opt/dxatrend").stdout.count(".stopped") == 0


def test_the_service_is_active_only_when_it_listens(machine: DebianMachine) -> None:
    machine.run("systemctl stop dxatrend")
    machine.start_program("occupant", "/usr/bin/python3 -m http.server --bind 127.0.0.1 11112")
    peers.wait_until(lambda: ":11112" in machine.run("ss -ltn").stdout)
    machine.run("systemctl start --no-block dxatrend")
    peers.wait_until(lambda: "Address already in use" in machine.journal(), seconds=120, what="the journal says why")
    assert show(machine, "ActiveState") != "active"
    machine.run("systemctl stop occupant dxatrend && systemctl start dxatrend")
    assert show(machine, "ActiveState") == "active"


def test_a_service_that_is_killed_is_started_again(machine: DebianMachine) -> None:
    wait_until_active(machine)
    main = show(machine, "MainPID")
    machine.run(f"kill -9 {main}")
    peers.wait_until(lambda: show(machine, "MainPID") not in (main, "0"), seconds=120, what="it is started again")
    wait_until_active(machine)
    assert "code=killed, status=9/KILL" in machine.journal()


def test_a_service_that_hangs_is_started_again(machine: DebianMachine) -> None:
    """The unit waits for a minute; a drop-in, as an administrator may write one, makes it ten seconds here."""
    folder = "/etc/systemd/system/dxatrend.service.d"
    machine.run(f"mkdir {folder} && printf '[Service]\nWatchdogSec=10\n' >{folder}/watchdog.conf")
    machine.run("systemctl daemon-reload && systemctl restart dxatrend")
    main = show(machine, "MainPID")
    machine.run(f"kill -STOP {main}")
    peers.wait_until(lambda: show(machine, "MainPID") not in (main, "0"), seconds=180, what="it is started again")
    assert "Watchdog timeout" in machine.journal()
    machine.run(f"rm -r {folder} && systemctl daemon-reload && systemctl restart dxatrend")


def test_a_reload_takes_new_rules_without_a_restart(machine: DebianMachine) -> None:
    wait_until_active(machine)
    main = show(machine, "MainPID")
    machine.run("echo '# another remark' >>/etc/dxatrend/rules.toml && systemctl reload dxatrend")
    peers.wait_until(
        lambda: "restart needed" not in machine.run("dxatrend status").stdout, seconds=60, what="it has read them"
    )
    assert show(machine, "MainPID") == main


def test_a_stop_is_clean(machine: DebianMachine) -> None:
    wait_until_active(machine)
    machine.run("systemctl stop dxatrend")
    assert (show(machine, "Result"), show(machine, "ExecMainStatus")) == ("success", "0")
    assert machine.run("ps -u dxatrend -o pid=", check=False).stdout == ""
    machine.run("systemctl start dxatrend")


def test_an_upgrade_that_fails_leaves_the_version_before_in_use(bundle: Path, machine: DebianMachine) -> None:
    later_bundle(
        bundle,
        machine.shared / "broken",
        version="9.0.0",
        migration='op.execute("ALTER TABLE nothing ADD COLUMN n TEXT")',
    )
    before, reports = version_in_use(machine), received(machine)
    refused = machine.run("/tmp/shared/broken/install", check=False)
    assert refused.returncode == 1
    assert "the store is as it was" in refused.stderr
    assert f"version {before} is in use again" in refused.stderr
    assert version_in_use(machine) == before
    assert show(machine, "ActiveState") == "active"
    assert received(machine) == reports


def test_an_upgrade_backs_up_migrates_and_starts_again_and_prints_the_way_back(
    bundle: Path, machine: DebianMachine
) -> None:
    later_bundle(
        bundle,
        machine.shared / "later",
        version="9.1.0",
        migration='op.execute("ALTER TABLE receipt ADD COLUMN n TEXT")',
    )
    before, reports = version_in_use(machine), received(machine)
    upgraded = machine.run("/tmp/shared/later/install").stdout
    assert f"backed up with version {before}" in upgraded
    assert "0001 -> 9000" in upgraded
    assert "none is missing" in upgraded
    assert version_in_use(machine) == "9.1.0"
    assert show(machine, "ActiveState") == "active"
    sent = addenda(machine)
    send(machine, REPORTS[2])
    peers.wait_until(lambda: addenda(machine) == sent + 1, seconds=120, what="the archive has the addendum")
    machine.run(" && ".join(upgraded.partition("To return to version ")[2].splitlines()[1:4]))
    assert version_in_use(machine) == before
    assert show(machine, "ActiveState") == "active"
    assert received(machine) == reports


def test_removing_it_leaves_configuration_and_data_and_installing_it_again_goes_on(machine: DebianMachine) -> None:
    reports = received(machine)
    said = machine.run("/opt/dxatrend/uninstall").stdout
    assert "/var/lib/dxatrend    the data" in said
    assert machine.run("ls -A /opt /usr/local/bin").stdout.count("dxatrend") == 0
    assert machine.run("systemctl cat dxatrend", check=False).returncode != 0
    machine.run("/tmp/shared/later/install && systemctl enable --now dxatrend")
    wait_until_active(machine)
    assert received(machine) == reports
