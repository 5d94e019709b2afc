"""Region keys and sets of vertebrae (R2.11, R2.17)."""

import pytest

from pipeline.clinical.regions import Region, Side, UnknownRegionError, parse_region, parse_vertebrae, vertebrae_key


@pytest.mark.parametrize(
    "key",
    ["L1-L4", "L2-L4", "L1-L2,L4", "L1,L3", "T12-L4", "L3", "total hip left", "femoral neck mean", "33% radius right",
     "ultradistal radius left", "total body", "total hip"],
)  # fmt: skip
def test_a_region_key_names_itself(key: str) -> None:
    """R2.11: configuration, addenda and database share one text per region."""
    assert parse_region(key).key == key
    assert str(parse_region(f"  {key.upper()} ")) == key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "L4-L1",
        "L1,L1",
        "L1-L6",
        "hip",
        "spine",
        "total hip upper",
        "total body left",
        "L1;L2",
        "L3,L1",
        "L1-L3,L2-L4",
    ],
)
def test_a_text_that_names_no_region_is_refused(text: str) -> None:
    with pytest.raises(UnknownRegionError):
        parse_region(text)


def test_a_region_and_its_vertebrae_go_together() -> None:
    with pytest.raises(UnknownRegionError, match="do not go together"):
        Region(part="total hip", vertebrae=("L1",))
    with pytest.raises(UnknownRegionError, match="do not go together"):
        Region(part="spine")
    with pytest.raises(UnknownRegionError, match="not a part"):
        Region(part="skull")
    with pytest.raises(UnknownRegionError, match="not vertebrae in their order"):
        Region(part="spine", vertebrae=("L2", "L1"))


def test_equal_regions_are_one_key_in_a_table() -> None:
    assert len({parse_region("total hip left"), Region(part="total hip", side=Side.LEFT)}) == 1


def test_vertebrae_read_from_head_to_foot() -> None:
    assert parse_vertebrae(" L1 - L2 , L4") == ("L1", "L2", "L4")
    assert vertebrae_key(("T12", "L1", "L3")) == "T12-L1,L3"


@pytest.mark.parametrize(
    ("key", "monitorable"),
    [("L1-L4", True), ("L2-L3", True), ("L1,L3", True), ("L2", False), ("T12-L4", False), ("L4-L5", False),
     ("total hip left", True), ("total hip mean", True), ("femoral neck right", True), ("33% radius left", True),
     ("trochanter left", False), ("ward's triangle left", False), ("ultradistal radius left", False),
     ("total forearm left", False), ("total body", False)],
)  # fmt: skip
def test_only_regions_fit_for_monitoring_are_monitored(key: str, *, monitorable: bool) -> None:
    """R2.17: spine of two or more lumbar vertebrae, total hip, femoral neck, one-third radius; nothing else."""
    assert parse_region(key).monitorable is monitorable
