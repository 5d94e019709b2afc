"""The database is kept healthy at night, and by day when the night was missed."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from pipeline.edge.app import open_app
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.operations.housekeeping import (
    DamagedStoreError,
    adjust_to_clock,
    is_overdue,
    run_housekeeping,
)
from pipeline.edge.operations.nightly_work import OVERDUE_AFTER
from pipeline.edge.store import pixel_retention, receipts
from pipeline.edge.store.database import Database, StoreError
from pipeline.edge.store.schema import receipt
from tests import peers
from tests.factories.answered_exams import lsc
from tests.factories.damaged_contents import DAMAGES, damage_content
from tests.factories.images import dxa_results, picture, roi, scan
from tests.factories.instances import NOW, instance
from tests.factories.reports import encode


@pytest.fixture(params=["sqlite", "postgresql"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A configuration whose store is of either kind."""
    sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path}/store.sqlite3" if sqlite else request.getfixturevalue("postgresql_url")
    (tmp_path / "service.toml").write_text(f'[store]\nurl = "{url}"')
    return tmp_path


def test_housekeeping_is_not_overdue_on_the_first_day_and_is_after_a_missed_night(config: Path) -> None:
    with open_app(config) as app:
        assert not is_overdue(app.database, NOW)
        assert not is_overdue(app.database, NOW + OVERDUE_AFTER)
        assert is_overdue(app.database, NOW + OVERDUE_AFTER + timedelta(seconds=1))


def test_housekeeping_is_recorded(config: Path) -> None:
    with open_app(config) as app:
        assert not is_overdue(app.database, NOW - timedelta(days=30))
        assert run_housekeeping(app) >= 0
        assert not is_overdue(app.database, NOW)


def test_the_pixels_of_old_images_are_dropped_and_the_settings_say_how_old(config: Path) -> None:
    with open_app(config) as app:
        days = app.settings.service.keeping.pixels_days
        for number, age in enumerate((days + 1, days - 1), start=1):
            shot = picture(
                comments=dxa_results(scan("AP Spine", roi("L1-L4", "0.912"))), StudyInstanceUID=f"2.25.1{number}"
            )
            sent = instance(encode(shot), uid=f"2.25.{number}")
            at = datetime.now(UTC) - timedelta(days=age)
            with app.database.write() as connection:
                receipts.store(connection, replace(sent, sop_class_uid=shot.SOPClassUID), calling_ae_title="S", at=at)
        while extract_waiting(app):
            pass
        run_housekeeping(app)
        with app.database.read() as connection:
            old, new = receipts.load(connection, [1, 2])
    assert len(old.instance.data_set) < len(new.instance.data_set)


def test_the_pixels_of_a_sound_image_are_dropped_however_many_damaged_ones_are_older(
    config: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch full of them is passed over, and told of once a night."""
    monkeypatch.setattr(pixel_retention, "BATCH", len(DAMAGES))
    with open_app(config) as app:
        days = app.settings.service.keeping.pixels_days
        for number in range(1, len(DAMAGES) + 2):
            shot = picture(
                comments=dxa_results(scan("AP Spine", roi("L1-L4", "0.912"))),
                StudyInstanceUID=f"2.25.1{number}",
                SOPInstanceUID=f"2.25.{number}",
            )
            sent = replace(instance(encode(shot), uid=f"2.25.{number}"), sop_class_uid=shot.SOPClassUID)
            at = datetime.now(UTC) - timedelta(days=days + 10 - number)
            with app.database.write() as connection:
                receipts.store(connection, sent, calling_ae_title="S", at=at)
        while extract_waiting(app):
            pass
        with app.database.write() as connection:
            for number, damage in enumerate(DAMAGES, start=1):
                damage_content(connection, number, damage)
        run_housekeeping(app)
        with app.database.read() as connection:
            (sound,) = receipts.load(connection, [len(DAMAGES) + 1])
            left = connection.scalars(select(receipt.c.id).where(receipt.c.pixel_bytes > 0).order_by(receipt.c.id))
            assert list(left) == [1, 2, 3, 4], "they are mended if they come again, and then dropped"
    assert len(sound.instance.data_set) < len(sent.data_set)
    for number in (1, 2, 3, 4):
        assert caplog.text.count(f"its pixel data was not dropped: the bytes of receipt {number} are damaged") == 1


def test_a_night_reminds_of_an_lsc_that_runs_out(config: Path, caplog: pytest.LogCaptureFixture) -> None:
    """E8: of none there is nothing to say."""
    with open_app(config) as app:
        run_housekeeping(app)
    assert "precision studies" not in caplog.text
    until = (datetime.now(UTC) + timedelta(days=30)).date()
    (config / "precision.toml").write_text(lsc("total hip", ends=until.isoformat()))
    with open_app(config) as app:
        run_housekeeping(app)
    assert "precision studies have to be repeated; see dxatrend status" in caplog.text


def test_a_damaged_database_is_found_out(tmp_path: Path) -> None:
    (tmp_path / "service.toml").write_text(f'[store]\nurl = "sqlite:///{tmp_path}/store.sqlite3"')
    with open_app(tmp_path) as app:
        app.database.optimize()
    store = tmp_path / "store.sqlite3"
    with closing(sqlite3.connect(store)) as connection:  # one page, and none that is needed to start
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'phantom_value'").fetchone()
    content = bytearray(store.read_bytes())
    content[(page - 1) * 4096 : (page - 1) * 4096 + 200] = b"\xff" * 200
    store.write_bytes(content)
    with open_app(tmp_path) as app, pytest.raises(DamagedStoreError):
        run_housekeeping(app)


def test_a_clock_that_goes_back_is_noticed_once_and_even_after_a_restart(
    config: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open_app(config) as app:
        adjust_to_clock(app.database, NOW)
        adjust_to_clock(app.database, NOW - timedelta(seconds=5))
    assert "the clock went back" not in caplog.text
    with open_app(config) as app:
        adjust_to_clock(app.database, NOW - timedelta(hours=1))
        assert caplog.text.count("the clock went back") == 1
        adjust_to_clock(app.database, NOW - timedelta(hours=1))
        adjust_to_clock(app.database, NOW)
    assert caplog.text.count("the clock went back") == 1


def test_a_disk_that_can_only_be_read_is_reported_as_such_and_used_again_when_it_can_be_written(tmp_path: Path) -> None:
    with peers.small_disk(tmp_path / "disk", megabytes=4) as disk:
        database = Database(f"sqlite:///{disk.folder}/store.sqlite3")
        database.migrate()
        database.close()  # while a file is open for writing Linux does not take the right away
        disk.write_protect(True)
        with pytest.raises(StoreError), database.write() as connection:
            receipts.store(connection, instance(), calling_ae_title="SCANNER1", at=NOW)
        disk.write_protect(False)
        with database.write() as connection:
            assert receipts.store(connection, instance(), calling_ae_title="SCANNER1", at=NOW)[1]
        database.close()
