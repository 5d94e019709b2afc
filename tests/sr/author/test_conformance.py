"""The conformance statement says what an addendum holds and what is received."""

from pydicom.charset import python_encoding
from pydicom.uid import ComprehensiveSRStorage, ExplicitVRLittleEndian

from pipeline.edge.dicom_net.sop_classes import SR_STORAGE_CLASSES, SR_TRANSFER_SYNTAXES
from pipeline.sr import codes
from pipeline.sr.author.content import document
from pipeline.sr.dicom.content_item import Code, Item
from pipeline.sr.dicom.uids import DEVICE_UID, IMPLEMENTATION_CLASS_UID
from tests.factories import interpretations as make
from tests.folders import ROOT
from tests.golden import assert_as_approved

STATEMENT = ROOT / "docs" / "conformance.md"

PRIVATE = [code for group in codes.private_scheme().values() for code in group]


def items() -> list[Item]:
    """All content items of the addenda to the spread of interpretations."""
    trees = [document(found, note="Replaces an earlier addendum.") for found in make.spread().values()]
    return [item for tree in trees for item in tree.walk()]


USED = {code for item in items() for code in (item.concept, item.code, item.unit) if code}


def test_every_code_an_addendum_uses_is_in_the_statement() -> None:
    statement = STATEMENT.read_text()
    cited = {
        f"| `{code.value}` |" if code in PRIVATE else f'({code.value}, {code.scheme}, "{code.meaning}")'
        for code in USED
    }
    assert sorted(text for text in cited if text not in statement) == []


def test_the_spread_of_interpretations_uses_every_code_there_is() -> None:
    """What is not tried here, no validator has seen."""
    of_renderings = {codes.DXA_STUDY_REPORT, codes.SOURCE_REPORT}
    outside_the_tree = {codes.REPLACED_REPORT, codes.ACQUISITION_EQUIPMENT, codes.STUDY_UID_AS_PROPERTY, *of_renderings}
    known = {code for code in vars(codes).values() if isinstance(code, Code)}
    assert (known | set(PRIVATE)) - USED == outside_the_tree


def test_the_statement_lists_the_private_scheme_as_it_is() -> None:
    """``UPDATE_GOLDEN=1`` writes the table into the statement."""
    before, begin, rest = STATEMENT.read_text().partition("<!-- private scheme: from codes.py -->\n")
    _, end, after = rest.partition("<!-- end of private scheme -->\n")
    assert begin, "the statement has no place for the private scheme"
    assert end, "the statement's private scheme has no end"
    rows = [
        f"| `{code.value}` | {code.meaning} | {group} |"
        for group, members in codes.private_scheme().items()
        for code in members
    ]
    table = "\n".join(["", "| value | meaning | used as |", "| --- | --- | --- |", *rows, "", ""])
    assert_as_approved(f"{before}{begin}{table}{end}{after}", STATEMENT)


def test_the_statement_lists_the_sop_classes_and_transfer_syntaxes_we_take() -> None:
    statement = STATEMENT.read_text()
    for uid in (*SR_STORAGE_CLASSES, *SR_TRANSFER_SYNTAXES):
        assert f"| {uid.name} | {uid} |" in statement or f"| C-STORE | {uid.name} | {uid} |" in statement
    assert f"| C-STORE | {ComprehensiveSRStorage.name} | {ComprehensiveSRStorage} | SCP, SCU |" in statement
    assert (
        f"| {ExplicitVRLittleEndian.name} | {ExplicitVRLittleEndian} | yes, preferred | yes, the only one |"
        in statement
    )


def test_the_statement_names_our_uids() -> None:
    statement = STATEMENT.read_text()
    assert DEVICE_UID in statement
    assert IMPLEMENTATION_CLASS_UID in statement


def test_the_statement_names_every_character_set_pydicom_knows() -> None:
    (listed,) = (
        line for line in STATEMENT.read_text().split("\n\n") if line.startswith("Reports are read in every character")
    )
    numbers = {term.split()[-1] for term in python_encoding if term.strip()}
    assert sorted(number for number in numbers if number not in listed) == []
