"""Run the validators of others on a DICOM file, and take off what is not our fault.

Three come with Debian: dicom3tools' ``dciodvfy`` knows the modules, DCMTK's ``dsrdump`` the relationships between
content items, PixelMed's ``DicomSRValidator`` the templates. The fourth is the standard's own tables of modules, which
highdicom carries. Their output is kept in full; what to expect of them is listed here with its cause, and
``unexpected`` leaves it out.
"""

import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

from highdicom._standard_utils import get_iod_module_map, get_module_attribute_map, get_sop_class_iod_map
from pydicom import dcmread
from pydicom.dataset import Dataset

from tests.peers import missing, program

JARS = {
    "libpixelmed-java": Path("/usr/share/java/pixelmed.jar"),
    "libsaxonhe-java": Path("/usr/share/java/Saxon-HE.jar"),
}

_IODS = ("SR", "SCImage", "EncapsulatedPDF")
"""Names of the IODs that dciodvfy recognises."""

_OURS_IN_A_GROUP = ("RESULT", "BRESULT", "OBSTACLE", "FLAG")

EXPECTED = {
    r"Warning - Unrecognized defined term <99DXATREND> for value 1 of attribute <Coding Scheme Designator>": (
        "dciodvfy lists the schemes of PS3.16 chapter 8; a private one is declared in (0008,0110) instead"
    ),
    r"Warning - Value dubious for this VR - \(0x0010,0x0010\) PN Patient's Name .* - Retired Person Name form": (
        "the scanner knows only one part of the name"
    ),
    r"Warning - Missing attribute or value that would be needed to build DICOMDIR - Study (Date|Time|ID)": (
        "the scanner left it out; it may be empty, and nobody may invent it"
    ),
    r"Warning - is only permitted to be empty when actually unknown; .* - attribute <Laterality>": (
        "a page shows bones of both sides; left out altogether, dciodvfy calls it an error"
    ),
    r"W: The VR checker does not support this Specific Character Set: ISO_IR 192": (
        "DCMTK 3.6.7 checks the letters of a text in ISO 8859 only"
    ),
    r'Error: .*Code \(241686001,SCT,"Dual energy X-Ray absorptiometry"\) not found in context group 100': (
        "CID 100 is extensible, and PixelMed's own DicomContextGroupsSource.xml says so: a procedure it does not list "
        "may stand for itself (PS3.16 7.2.3)"
    ),
    r'Warning: .*/CONTAINER \(121076,DCM,"Conclusions"\)(/TEXT .*)?: Content Item not in template': (
        "TID 1500 is extensible: the sentences for the radiologist"
    ),
    rf"Warning: .*/(CODE|TEXT) \(({'|'.join(_OURS_IN_A_GROUP)}),99DXATREND,[^/]*: Content Item not in template": (
        "TID 1501 is extensible, and has rows for these since it is a Measurement and Qualitative Evaluation Group; "
        "PixelMed still knows it as Measurement Group"
    ),
    r'Warning: .*/CONTAINER \(C0034375,UMLS,"Qualitative Evaluations"\)/NUM \(TARGET_(T|DISTANCE),99DXATREND,[^/]*'
    r": Content Item not in template": (
        "TID 1500 is extensible: how far the lowest score is from the department's target"
    ),
    r"Warning: .*/DATE \(DETECTABLE_ON,99DXATREND,[^/]*: Content Item not in template": (
        "TID 1501 is extensible: a day that is no time point of any measurement"
    ),
    r'Warning: .*/(DATE \(111060,DCM,"Study Date"\)|UIDREF \((121018|110180),DCM,"(Procedure )?Study Instance UID"\)'
    r'|TEXT \(C2348792,UMLS,"Time Point"\)): Content Item not in template': (
        "TID 1501 and 300 are extensible: which study a number is from"
    ),
    r'Warning: .*/NUM \(B?DIFF,.*/NUM \(24966-4,.*/CODE \(363698007,SCT,"Finding Site"\)'
    r": Content Item not in template": ("TID 300 is extensible: which vertebrae the BMD behind a difference is of"),
}
"""Findings that are not our fault, as patterns of the whole line, and why they are not."""


def unexpected(findings: Iterable[str]) -> list[str]:
    """The findings nobody has explained."""
    return [line for line in findings if not any(re.fullmatch(pattern, line) for pattern in EXPECTED)]


def dciodvfy(file: Path) -> list[str]:
    """The errors and warnings of dicom3tools."""
    ran = subprocess.run([program("dciodvfy"), str(file)], capture_output=True, text=True, timeout=60, check=False)
    assert any(iod in ran.stderr for iod in _IODS), f"dciodvfy did not recognise it: {ran.stderr}"
    return [line for line in ran.stderr.splitlines() if line.startswith(("Error", "Warning"))]


def dsrdump(file: Path) -> list[str]:
    """The errors and warnings of DCMTK, which reads the whole content tree and refuses what may not stand in it."""
    ran = subprocess.run([program("dsrdump"), str(file)], capture_output=True, timeout=60, check=False)
    findings = [line for line in ran.stderr.decode().splitlines() if line.startswith(("F:", "E:", "W:"))]
    assert findings or ran.returncode == 0, "dsrdump failed without a word"
    return findings


def pixelmed(files: Sequence[Path]) -> dict[Path, list[str]]:
    """The errors and warnings of PixelMed for each file, in one virtual machine: compiling its rules takes long.

    The same bytes are judged once.
    """
    contents = {file: file.read_bytes() for file in files}
    unknown = {content: file for file, content in contents.items() if content not in _pixelmed_said}
    for file, findings in _ask_pixelmed(list(unknown.values())) if unknown else ():
        _pixelmed_said[contents[file]] = findings
    return {file: _pixelmed_said[content] for file, content in contents.items()}


_pixelmed_said: dict[bytes, list[str]] = {}


def _ask_pixelmed(files: Sequence[Path]) -> Iterator[tuple[Path, list[str]]]:
    for package, jar in JARS.items():
        if not jar.exists():
            missing(package)
    modules = subprocess.run([program("java"), "--list-modules"], capture_output=True, text=True, check=True).stdout
    if "jdk.compiler" not in modules:
        missing("default-jdk-headless")
    command = [
        program("java"),
        "-Xss64m",
        "-Djavax.xml.transform.TransformerFactory=net.sf.saxon.TransformerFactoryImpl",
        *("-cp", ":".join(map(str, JARS.values()))),
        str(Path(__file__).with_name("PixelMed.java")),
    ]
    ran = subprocess.run([*command, *map(str, files)], capture_output=True, text=True, timeout=880, check=True)
    for part in ran.stdout.split("File: ")[1:]:
        name, _, findings = part.partition("\n")
        assert "IOD validation complete" in findings, f"PixelMed did not finish: {findings[-300:]}"
        yield Path(name), [line for line in findings.splitlines() if line.startswith(("Error", "Warning"))]


def tables(file: Path) -> list[str]:
    """What the tables of modules and attributes of PS3.3 do not know, or miss, in an object."""
    return _judged_by_tables(dcmread(file))


def tables_but_for_content(file: Path) -> list[str]:
    """The same of all but the content tree, which takes pydicom long to read."""
    instance = dcmread(file)
    del instance.ContentSequence
    return _judged_by_tables(instance)


def _judged_by_tables(instance: Dataset) -> list[str]:
    known, needed = _tables_of(instance.SOPClassUID)
    return [*_unknown(instance, known, ()), *_missed(instance, needed, ())]


_Path = tuple[str, ...]


@cache
def _tables_of(sop_class_uid: str) -> tuple[set[_Path], dict[_Path, list[tuple[str, str]]]]:
    """Every attribute that an object may have, and for each level those that it must have, with their type."""
    modules = get_iod_module_map()[get_sop_class_iod_map()[sop_class_uid]]
    attributes = get_module_attribute_map()
    known = {(*a["path"], a["keyword"]) for module in modules for a in attributes[module["key"]]}
    needed: dict[_Path, list[tuple[str, str]]] = {}
    for module in modules:
        # of a content item the tables tell the attributes of every value type as if each had them all
        if module["usage"] == "M" and module["key"] != "sr-document-content":
            for a in attributes[module["key"]]:
                if a["type"] in ("1", "2"):
                    needed.setdefault(tuple(a["path"]), []).append((a["keyword"], a["type"]))
    return known, needed


def _unknown(item: Dataset, known: set[_Path], path: _Path) -> Iterator[str]:
    for element in item:
        here = _within(path, element.keyword)
        if here not in known:
            yield f"Error: {'/'.join(here)} is in no module of this object"
        for child in element.value if element.VR == "SQ" else ():
            yield from _unknown(child, known, here)


def _missed(item: Dataset, needed: dict[_Path, list[tuple[str, str]]], path: _Path) -> Iterator[str]:
    for keyword, kind in needed.get(path, ()):
        if keyword not in item or (kind == "1" and item[keyword].is_empty):
            fault = "empty" if keyword in item else "missing"
            yield f"Error: {'/'.join((*path, keyword))} is of type {kind} and {fault}"
    for element in item:
        for child in element.value if element.VR == "SQ" else ():
            yield from _missed(child, needed, _within(path, element.keyword))


def _within(path: _Path, keyword: str) -> _Path:
    """A path in the tables: content items are in content items at any depth, and there in one."""
    return path if keyword == "ContentSequence" and path[-1:] == ("ContentSequence",) else (*path, keyword)
