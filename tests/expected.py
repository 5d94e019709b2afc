"""Expected addenda of the sample patients, exam by exam, and those found in the archive."""

from pydicom.dataset import Dataset

from dxatrend.demo import Expected, expected_exams
from tests import peers

Exam = Expected


def exams_of(folder: str) -> list[Expected]:
    """The exams of one sample patient, the first one first."""
    return sorted((exam for exam in expected_exams() if exam.folder.name == folder), key=lambda exam: exam.date)


def study_addenda(pacs: peers.Orthanc, exam: Expected) -> list[Dataset]:
    """Every object the archive has in the exam's study: the scanner's own reports went to us alone."""
    found = pacs.find("Instance", StudyInstanceUID=exam.study)
    return [pacs.instance(instance) for instance in found]
