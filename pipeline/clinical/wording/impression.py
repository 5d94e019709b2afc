"""The overall result in one sentence, and what it means under therapy (R3.9)."""

from pipeline.clinical.context import ClinicalContext, Therapy
from pipeline.clinical.model import Overall

# Section 6, A2: nobody has looked at this yet.
PRELIMINARY = "Computer-generated; preliminary until verified by a radiologist."

# R3.9, from the regions used for monitoring together.
OVERALL = {
    Overall.IMPROVED: "Overall: BMD increased significantly.",
    Overall.STABLE: "Overall: no significant change in BMD.",
    Overall.DECLINED: "Overall: BMD decreased significantly.",
    Overall.DISCORDANT: "Overall: discordant, a significant gain at one site and a significant loss at another.",
    Overall.INDETERMINATE: "Overall: no statement on change is possible.",
    Overall.NO_PRIOR: "Overall: no earlier exam of these sites is on file; this exam is the baseline.",
}


def response(overall: Overall, context: ClinicalContext) -> tuple[str, ...]:
    """R3.9: on therapy, to hold is to respond (ISCD)."""
    on_therapy = context.therapy not in (None, Therapy.NONE)
    if on_therapy and overall in (Overall.STABLE, Overall.IMPROVED):
        return ("On therapy, stable or rising BMD counts as response (ISCD).",)
    return ()


def withdrawn(reason: str) -> str:
    """R2.19: an exam that is not what it says takes part in no comparison; ``reason`` is that of who withdrew it."""
    return (
        f"This exam was withdrawn: {reason.strip().rstrip('.')}. No result and no number of an earlier addendum on it "
        "holds any longer, and no other exam is compared with it."
    )
