"""What each reason for holding means, and what a person does about it: the words of the desk and of the manual.

A text between backticks is a name, a key of the configuration or a command. ``docs/operations.md`` has the same table,
and a test compares the two.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a reason means, in sentences the first of which says it all, and what to do about it."""

    meaning: str
    advice: str

    @property
    def summary(self) -> str:
        """The first sentence of the meaning."""
        return self.meaning.split(". ")[0].removesuffix(".") + "."

    @property
    def more(self) -> str:
        """The meaning without its first sentence."""
        return self.meaning.partition(". ")[2]


_SOURCE = "Correct it at the source, send again."

EXPLANATIONS: Mapping[str, Explanation] = {
    "not_dicom": Explanation("The bytes are no DICOM object.", "Check the sender, send again."),
    "truncated": Explanation("The end of the object is missing.", "Check the sender, send again."),
    "too_slow": Explanation(
        "It took longer to read than any densitometer's report.", "Check what was sent, and by whom."
    ),
    "too_large": Explanation("It is larger or deeper than any densitometer's report.", "Check what was sent."),
    "not_a_report": Explanation(
        "It is neither a structured report nor a picture with results.", "Do not send it here."
    ),
    "names_nothing": Explanation(
        "A rejection note names no instance, or cannot be read to its end.",
        "Check who made it; withdraw the exam by hand.",
    ),
    "broken_results": Explanation("The results beside a picture are cut short or no XML.", "Send again."),
    "unknown_dialect": Explanation(
        "No dialect knows this kind of report.", "Add one to `config/dialects`, `dxatrend reload`, release."
    ),
    "no_instance_uid": Explanation("The report lacks its SOP Instance UID or SOP Class UID.", _SOURCE),
    "no_study_uid": Explanation("The report lacks its Study Instance UID.", _SOURCE),
    "no_patient_id": Explanation("The report lacks the patient id.", _SOURCE),
    "no_study_date": Explanation("The report lacks the date of the exam.", _SOURCE),
    "other_uid": Explanation(
        "The sender named another SOP Instance UID or SOP Class UID than the report has, so nobody can tell under "
        "which one an archive has it.",
        "Check the sender, send again.",
    ),
    "implausible_date": Explanation(
        "The exam is dated before birth, after it was received or before there was DXA, or the stated age contradicts "
        "the dates by more than a year: often the scanner's clock after a dead battery.",
        "Correct clock and report at the source, send again. Releasing it accepts the dates as they are.",
    ),
    "placeholder_id": Explanation(
        "The patient id or birth date is a placeholder (`UNKNOWN`, `00000000`, 1 January 1900) that would join "
        "different people.",
        "Correct it at the source, send again. If it is really somebody's, remove it from the list in `rules.toml`, "
        "then release.",
    ),
    "other_date": Explanation(
        "The results have another date than the header, perhaps an old exam printed again.", "Check the report."
    ),
    "other_patient": Explanation(
        "The results are of somebody with another birth date or sex than the header's, perhaps a scan under a wrong "
        "name. Nothing is compared.",
        _SOURCE,
    ),
    "other_method": Explanation("Ultrasound, CT or body composition, not bone density by DXA.", "Do not send it here."),
    "no_bmd": Explanation(
        "It has no bone density that a dialect knows: often a report of something else, or of a lateral spine.",
        "The detail says what was recognised and ignored. If nothing is missing, set it aside.",
    ),
    "unknown_unit": Explanation(
        "A density has no known unit, and none is guessed.", "Add the unit to the dialect if it is one."
    ),
    "implausible": Explanation(
        "A density lies outside 0.1 to 3.0 g/cm2.", "Add the unit to the dialect if it is another one."
    ),
    "unusable_evidence": Explanation(
        "The reports of an exam disagree on the patient, or lack what an addendum must quote.", _SOURCE
    ),
    "other_caller": Explanation(
        'A caller sent the report of a scanner that is not among its `listener.caller.serial_numbers`; "sent by" '
        "names the caller. Or a scanner's caller sent a rejection note on a report of another scanner.",
        "If it may, add the serial number, restart, release; if not, find out what sends in its name. Releasing a "
        "rejection note follows it, unless `serial_numbers` forbid that.",
    ),
    "other_bytes": Explanation(
        "A known SOP Instance UID came with other results, with other bytes that correct nothing an addendum quotes, "
        "or from another sender. Of two senders the one known for its scanner by other exams counts, else the one "
        "that has its addendum already, else neither.",
        "The detail names the other one. Compare both; releasing it accepts the later one as well.",
    ),
    "erased": Explanation(
        "The patient it belongs to was erased here, and its scanner has sent it once more.",
        "Find out why it was sent. Releasing it takes it in as something new; `dxatrend patient erase` erases it "
        "again.",
    ),
    "inconsistent": Explanation("Content divided by area is not the density.", "Compare with the scanner's printout."),
    "id_conflict": Explanation(
        "One study is under two patients, or a patient has two birth dates or sexes, or two names without a birth "
        "date. Held is the side whose sender is not known for its scanner by other exams; else the side with fewer "
        "exams, or the one that came when the other had its addendum; if nothing decides, both.",
        "The detail names the other exams and their senders. Correct it at the source; withdraw what is wrong, and "
        "the rest goes on by itself; or release what is right.",
    ),
    "same_scan": Explanation(
        "One scan (scanner, second and values) is on file under two patients, as after a correction at the console.",
        "The detail names both exams, their receipts and who sent them. Look at both receipts, withdraw the wrong "
        "exam, and the other goes on by itself.",
    ),
    "read_otherwise": Explanation(
        "With today's dialects or aliases the reports of an exam can no longer be read, or belong to different exams; "
        "the earlier reading stays.",
        "Correct the configuration, or release.",
    ),
    "contradictory": Explanation(
        "There are two values for one region, in one report or in several of one exam.",
        'A person must decide at the source which is right. If the detail says "of two days", one study was used for '
        "two visits: `dxatrend split`.",
    ),
    "refused": Explanation(
        "A destination refused this addendum ten times while it accepted others, or 48 times in all.",
        "The detail has the status, the destination's log has the cause; then release.",
    ),
    "not_reported": Explanation(
        "A scanner did not accept our result of storage commitment for a week.",
        "Is `listener.caller.port` right? Does the scanner know our AE title? Then release.",
    ),
    "unanswered": Explanation(
        "A destination broke the connection whenever this addendum was sent, and accepted others.",
        "Check the destination, then release.",
    ),
    "unwritable": Explanation(
        "The character set of an HL7 receiver lacks a letter of this result; no letter is replaced.",
        "Set `character_set` in its mapping to one that has it, best `UNICODE UTF-8`; restart, then release.",
    ),
    "unexpected": Explanation(
        "An error in dxatrend, or the bytes of a received report are damaged or gone.",
        "The detail says which. Damaged bytes: have the report sent again, or restore a backup, then release. "
        "Anything else: please report it.",
    ),
    "worker_lost": Explanation(
        "An error in dxatrend: a worker ended three times while it had this.",
        "Please report it; release it after the next upgrade.",
    ),
}

_UNEXPLAINED = Explanation("Held for a reason that this version does not explain.", "See the detail.")


def explanation(reason: str) -> Explanation:
    """Return what a reason means and what to do; one of another version of dxatrend is not explained."""
    return EXPLANATIONS.get(reason, _UNEXPLAINED)
