"""Clinical data model: patient, scanner, exam, measurement, change, finding, diagnosis, interpretation.

Frozen values with exact ``Decimal`` numbers; BMD in g/cm2, BMC in g, area in cm2. Other packages import
from ``pipeline.clinical.model``; the modules of this package divide it by subject.
"""

from pipeline.clinical.model.caution import Caution, Flag
from pipeline.clinical.model.comparison import Change, Finding, Obstacle, Refusal, Result, Trend
from pipeline.clinical.model.diagnosis import Category, CategoryChange, Diagnosis, Scale, Target
from pipeline.clinical.model.exam import LONGEST_EXAM, Exam, Measurement, other_population
from pipeline.clinical.model.interpretation import Interpretation, Narrative, NotEvaluated, Overall, Suggestion
from pipeline.clinical.model.limits import A_THOUSAND, BEYOND_BONE, MOST_DECIMALS, ZERO, ImpossibleMeasurementError
from pipeline.clinical.model.patient import Patient, Sex
from pipeline.clinical.model.phantom import Phantom
from pipeline.clinical.model.precision import CrossCalibration, LeastSignificantChange
from pipeline.clinical.model.scanner import Epoch, QcGap, Scanner

__all__ = [
    "A_THOUSAND",
    "BEYOND_BONE",
    "LONGEST_EXAM",
    "MOST_DECIMALS",
    "ZERO",
    "Category",
    "CategoryChange",
    "Caution",
    "Change",
    "CrossCalibration",
    "Diagnosis",
    "Epoch",
    "Exam",
    "Finding",
    "Flag",
    "ImpossibleMeasurementError",
    "Interpretation",
    "LeastSignificantChange",
    "Measurement",
    "Narrative",
    "NotEvaluated",
    "Obstacle",
    "Overall",
    "Patient",
    "Phantom",
    "QcGap",
    "Refusal",
    "Result",
    "Scale",
    "Scanner",
    "Sex",
    "Suggestion",
    "Target",
    "Trend",
    "other_population",
]
