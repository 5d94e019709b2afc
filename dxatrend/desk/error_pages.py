"""What a visitor is told when there is no page to show: what happened, and what to do."""

from http import HTTPStatus
from typing import NamedTuple

from starlette.responses import HTMLResponse

from dxatrend.desk.rendering import Renderer
from pipeline.edge.configuration.desk_settings import DeskSettings


class _Words(NamedTuple):
    title: str
    text: str


_WORDS = {
    400: _Words("This could not be read", "What the browser sent is incomplete. Go back, and try again."),
    403: _Words("This is not open to you", "Your role does not include this page. Ask whoever administers dxatrend."),
    404: _Words("There is no such page", "Nothing is at this address, or what was there is no longer on file."),
    405: _Words("This cannot be done here", "This address does not take what the browser sent."),
    408: _Words("This took too long", "The browser did not send the whole form. Nothing was changed; send it again."),
    413: _Words("This is too much", "What was sent is larger than this page takes. Nothing was changed."),
    414: _Words("This address is too long", "Shorten what you search for."),
    421: _Words("This desk has another address", "Use the address below; the one in the browser is not known here."),
    429: _Words("Too many attempts", "Wait a little before the next attempt."),
    500: _Words("Something went wrong", "This is an error in dxatrend, and it is in the log. Receiving goes on."),
    503: _Words(
        "The database does not answer",
        "Nothing can be shown or changed until it does. Scanners keep what they could not send. Reload this page in a "
        "moment; if it stays so, see to the database and the disk of the machine dxatrend runs on.",
    ),
}


class ErrorPages:
    """Makes the page of each error."""

    def __init__(self, renderer: Renderer, settings: DeskSettings) -> None:
        self._renderer, self._settings = renderer, settings

    def response(self, status: int, *, title: str = "", text: str = "") -> HTMLResponse:
        """Return the page of an error by its HTTP status, in other words than usual where some are given."""
        words = _WORDS.get(status) or _Words(HTTPStatus(status).phrase, "")
        values = {
            "status": status,
            "title": title or words.title,
            "text": text or words.text,
            "address": self._settings.address if status == HTTPStatus.MISDIRECTED_REQUEST else "",
        }
        # Whatever else is sent on the connection was not asked for: a body that was refused may have no end.
        return HTMLResponse(self._renderer.render("error.html", values), status, headers={"connection": "close"})
