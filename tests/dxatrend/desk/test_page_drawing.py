"""Pages of an addendum are drawn once, kept for a while, and read from what was sent."""

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from dxatrend.desk.page_drawing import KEPT, DrawingError, PageDrawer, drawing_of, png
from pipeline.edge.app import App, open_app
from pipeline.edge.overview.examined import Examined, examine_now
from pipeline.edge.store import outbox, patient_file
from pipeline.edge.store.outbox import AddendumOnFile
from tests.factories import browser as browsers
from tests.factories.renderings import addendum_to, interpreted, read, renderings_of, visit


def test_grey_pixels_become_an_image_of_the_same_pixels() -> None:
    pixels = bytes(range(240))
    image = Image.open(BytesIO(png(pixels, columns=20, rows=12)))
    assert (image.mode, image.size, image.tobytes()) == ("L", (20, 12), pixels)


def test_pages_that_were_sent_are_shown_as_they_were_sent() -> None:
    now = visit(2024, "L1-L4")
    interpretation = interpreted(now, [visit(2022, "L1-L4")])
    sent = renderings_of(addendum_to(interpretation), interpretation, [visit(2022, "L1-L4")])
    drawing = drawing_of(sent)
    pictures = [read(one) for one in sent if "PixelData" in read(one)]
    assert [Image.open(BytesIO(image)).tobytes() for image in drawing.images] == [one.PixelData for one in pictures]
    assert drawing.pdf.startswith(b"%PDF")


def _latest(app: App) -> tuple[AddendumOnFile, Examined]:
    with app.database.read() as connection:
        rows = patient_file.exams_of(connection, [1], most=9)
        examined, addendum = (
            examine_now(app, connection, rows[0].number, rows),
            outbox.latest(connection, rows[0].number),
        )
    assert examined is not None
    assert addendum is not None
    return addendum, examined


@pytest.fixture
def config(tmp_path: Path) -> Path:
    config = browsers.configure(tmp_path)
    browsers.load_samples(config, ["01-stable"])
    return config


def test_one_addendum_is_drawn_once_and_no_more_than_a_few_are_kept(config: Path) -> None:
    drawer = PageDrawer()
    with open_app(config) as app:
        addendum, examined = _latest(app)
        drawing = drawer.draw(app, addendum, examined.examination)
        assert drawer.draw(app, addendum, examined.examination) is drawing
    assert drawing.images
    assert drawing.pdf.startswith(b"%PDF")
    assert KEPT < 20


def test_a_drawing_that_fails_says_so_and_is_not_kept(config: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    drawer = PageDrawer()
    with open_app(config) as app:
        addendum, examined = _latest(app)
        service = app.settings.service
        broken = service.addendum.model_copy(update={"font": tmp_path / "broken.ttf"})
        object.__setattr__(app.settings, "service", service.model_copy(update={"addendum": broken}))
        for _ in range(2):
            with pytest.raises(DrawingError, match="could not be drawn"):
                drawer.draw(app, addendum, examined.examination)
