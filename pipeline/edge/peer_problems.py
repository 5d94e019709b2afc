"""What can be wrong with another system that we call, each in one sentence for people: what it is, and what to do.

Log, ``status``, ``held``, ``check``, the desk and the alarms all show this sentence. The tables in docs/operations.md
are in the same order. What a peer has sent is never quoted: it may be anything.
"""

from enum import Enum

from pipeline.errors import DxatrendError


class Problem(Enum):
    """One problem: what it is, with facts in braces, and what to do about it."""

    # Nobody there.
    NAME_UNKNOWN = "the name {host} has no address", "correct host, or repair the name service (DNS)"
    NOT_LISTENING = "nobody listens at {at} (connection refused)", "start the system there, or correct host and port"
    NO_ROUTE = "no way leads to {at} ({error})", "see the network, and the firewalls on the way"
    NOT_REACHED = (
        "{at} does not answer at all (time-out)",
        "see whether the machine is on, host is right, and the firewalls on the way let us through",
    )
    NOT_CONNECTED = "no connection to {at} ({error})", "see the network, and the log of the system there"
    CLOSED = (
        "{at} closed the connection without an answer",
        "see its log, and whether it knows our address",
    )
    SILENT = (
        "{at} takes our connection, and gives no answer",
        "see its log, and whether port and TLS are set alike on both sides",
    )
    ENDLESS = "{at} answers without end", "see its log, and whether it is the right system"

    # Something else there.
    SPEAKS_HTTP = (
        "an HTTP server answers at {at}, not a {expected}",
        "correct the port, or the kind (DICOMweb is stow)",
    )
    SPEAKS_HL7 = "an HL7 receiver answers at {at}, not a {expected}", "correct the port, or the kind"
    SPEAKS_DICOM = "a DICOM system answers at {at}, not a {expected}", "correct the port, or the kind"
    SPEAKS_OTHERWISE = "something other than a {expected} answers at {at}", "correct the port"

    # TLS.
    WANTS_TLS = "{at} expects TLS, and we call without", "set up tls (for a URL: https), or give its plain port"
    LACKS_TLS = "{at} does not speak TLS", "remove tls (for a URL: write http), or give its port for TLS"
    CLOSED_TLS = (
        "{at} closed the connection when we began TLS",
        "see its log, and whether it speaks TLS at this port",
    )
    CERTIFICATE_EXPIRED = "the certificate of {at} has run out", "have it renewed there, or set our clock right"
    CERTIFICATE_TOO_EARLY = "the certificate of {at} is not valid yet", "set its clock or ours right"
    CERTIFICATE_NAME = (
        "the certificate of {at} is made out to another name",
        "write host as the certificate does, or have one made out to this name",
    )
    CERTIFICATE_AUTHORITY = (
        "the certificate of {at} is signed by an authority that we do not know",
        "set tls.ca to the file of that authority",
    )
    CERTIFICATE_UNFIT = "the certificate of {at} cannot be trusted ({error})", "have it replaced there"
    CERTIFICATE_WANTED = "{at} wants a certificate of us", "set tls.certificate and tls.key"
    CERTIFICATE_REJECTED = (
        "{at} rejects our certificate ({error})",
        "have our authority registered there, or use one that it accepts and that has not run out",
    )
    TLS_VERSION = (
        "no version or cipher of TLS is common to {at} and us",
        "it must offer TLS 1.2 or later with today's ciphers, and may want a certificate of us",
    )
    TLS_FAILED = "TLS with {at} does not come about ({error})", "see its log"
    SECRET_UNUSABLE = "we cannot call it: {error}", "correct this setting or file"

    # Associations (PS3.8 table 9-21) and presentation contexts.
    CALLING_TITLE = (
        "it does not know our AE title {ours}",
        "have it registered there with our address, or correct listener.ae_title",
    )
    CALLED_TITLE = "it is not called {theirs}", "correct ae_title to its own"
    REJECTED = (
        "it rejects our association and does not say why",
        "see its log, and have our AE title {ours} and our address registered there",
    )
    REJECTED_NOW = (
        "it takes no more associations at present",
        "wait, and if it lasts see whether it is overloaded or has a limit for us",
    )
    REJECTED_PROTOCOL = (
        "it rejects our association, for it speaks another DICOM",
        "see its log, and whether it is a PACS",
    )
    ABORTED = "it broke our association off before answering", "see its log, and whether it knows our AE title {ours}"
    CLASSES = "it does not take {classes} in Explicit VR Little Endian", "have that enabled there for {ours}"

    # Responses over DICOM.
    NO_RESPONSE = "no answer to {request}", "see its log if it lasts"
    ASSOCIATION_ENDED = "the association ended before an answer", "see its log if it lasts"
    FULL = "{request} was answered with {status}, it has no room, or is overloaded", "free space there"
    NOT_AUTHORISED = "{request} was answered with {status}, we are not authorised", "give our AE title the right there"
    CLASS_REFUSED = (
        "{request} was answered with {status}, it does not take this SOP class",
        "have structured reports enabled there",
    )
    OBJECT_REFUSED = (
        "{request} was answered with {status}, it does not accept this object",
        "its log has the reason, perhaps a patient or study that it does not know",
    )
    STATUS = "{request} was answered with {status}", "its log has the reason"
    NOT_OFFERED = "it does not offer {request}", "have that enabled there for our AE title"
    MOVE_REFUSED = (
        "C-MOVE was answered with {status}",
        "have our AE title with host and port registered there, and see its log",
    )
    ANSWER_UNREADABLE = "its answer cannot be read ({error})", "see its log, and please report it"

    # Responses over HTTP.
    LOGIN_WANTED = "{request} was answered with HTTP {status}, it asks for a login", "set or renew the login"
    FORBIDDEN = "{request} was answered with HTTP {status}, the login may not do that", "give it the right there"
    NOT_AT_URL = "{request} was answered with HTTP {status}, there is nothing at this URL", "correct the path of url"
    METHOD_REFUSED = (
        "{request} was answered with HTTP {status}, it does not offer that at this URL",
        "correct the path of url, or have the service enabled there",
    )
    REDIRECTED = "{request} was answered with HTTP {status}, it redirects elsewhere", "set url to where it really is"
    TOO_LARGE = (
        "{request} was answered with HTTP {status}, our message is too large for it",
        "raise the limit there, or send no images or PDF (content)",
    )
    BUSY = "{request} was answered with HTTP {status}, it is busy or in trouble", "wait, and see its log if it lasts"
    HTTP_REFUSED = (
        "{request} was answered with HTTP {status}, it does not accept what we sent",
        "its log has the reason, perhaps a patient that it does not know",
    )
    HTTP_STATUS = "{request} was answered with HTTP {status}", "its log has the reason, unless url is wrong"
    NOT_CONFIRMED = (
        "{request} was answered with HTTP {status}, and the answer does not say that it was stored",
        "see its log, and whether url is the one of the service",
    )
    ANSWER_UNUSABLE = "its answer to {request} {error}", "see its log, and whether url is the one of the service"

    # Answers of HL7 receivers (table 0008).
    HL7_ERROR = (
        "message {message} was answered with {code}, it does not accept this message",
        "its log has the reason, perhaps an order or patient that it does not know",
    )
    HL7_REJECTED = (
        "message {message} was answered with {code}, it takes no such messages now",
        "see its log, and whether it takes ORU^R01 of this version from us",
    )
    HL7_NO_ANSWER = "no acknowledgement came in time", "see its log, and whether port and answer_seconds are right"
    HL7_OTHER_ANSWER = (
        "it acknowledged another message than this one",
        "see its log, and whether it answers each message",
    )
    LETTER_MISSING = "the result cannot be written: {error}", "set character_set in its mapping to one that has it"

    # Folders.
    FOLDER = "the folder cannot be written to: {error}", "give the user of the service the right, or free space"

    # Stored, and not proven yet.
    COMMITMENT_AWAITED = (
        "stored, and storage commitment was requested",
        "if it stays so, the archive must know our AE title {ours} with host and port, to report to us",
    )
    COMMITMENT_REFUSED = "stored, but it does not commit itself to keep it", "see its log for the reason"
    NOT_FOUND_YET = "stored, but not found by {request} yet", "if it stays so, see its log for what became of it"
    PROOF_MISSING = "stored, but the proof was not given: {error}", "have it enabled there, or set another proof"

    # Ours.
    UNEXPECTED = "unexpected error: {error}", "please report it"

    def __init__(self, what: str, advice: str) -> None:
        self.what, self.advice = what, advice

    @property
    def key(self) -> str:
        """The name by which logs and the database tell it from others."""
        return self.name.lower()

    def describe(self, **facts: object) -> str:
        """Return the sentence for people: what it is, and what to do."""
        return f"{self.what}; {self.advice}".format(**facts)


class PeerError(DxatrendError):
    """Something is wrong with another system; the text says what, and what to do."""

    def __init__(self, problem: Problem, /, **facts: object) -> None:
        super().__init__(problem.describe(**facts))
        self.problem, self.facts = problem, facts


class PeerUnavailableError(PeerError):
    """The other side takes nothing at present, whatever it is sent: it is away, or not set up for us."""


class NoAnswerError(PeerError):
    """The connection was there, and no whole answer came; whether the message has arrived is unknown."""

    def as_unavailable(self) -> PeerUnavailableError:
        """Return the same for a request that concerns all: who does not answer it takes nothing at present."""
        return PeerUnavailableError(self.problem, **self.facts)


def place(host: str, port: int) -> str:
    """Return where a peer is, as it is told."""
    return f"{host} port {port}"
