"""No element of the Basic Application Level Confidentiality Profile (PS3.15 Table E.1-1) keeps its value."""

from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset

from tests.factories.identity import PATIENT, anonymous, holds
from tests.factories.reports import put, report, spine

PROFILE = """
    AccessionNumber AcquisitionComments AcquisitionContextSequence AcquisitionDate AcquisitionDateTime
    AcquisitionDeviceProcessingDescription AcquisitionProtocolDescription ActualHumanPerformersSequence
    AdditionalPatientHistory AdmissionID AdmittingDate AdmittingDiagnosesDescription Allergies
    Arbitrary AuthorObserverSequence BranchOfService CassetteID CommentsOnThePerformedProcedureStep
    ConfidentialityConstraintOnPatientDataDescription ContentCreatorName ContentDate ContextGroupExtensionCreatorUID
    ContributionDescription CountryOfResidence CurrentPatientLocation CurveDate DataSetTrailingPadding
    DerivationDescription DetectorID DeviceDescription DeviceSerialNumber DeviceUID DischargeDiagnosisDescription
    FailedSOPInstanceUIDList FillerOrderNumberImagingServiceRequest FrameComments FrameOfReferenceUID GantryID
    GeneratorID HumanPerformerName HumanPerformerOrganization IdentifyingComments ImageComments
    ImagePresentationComments ImpressionsTrial InstanceCreationDate InstanceCreatorUID InstitutionAddress
    InstitutionalDepartmentName InstitutionName InsurancePlanIdentification InterpretationApproverSequence
    InterpretationAuthor InterpretationDiagnosisDescription InterpretationRecorder InterpretationText
    InterpretationTranscriber IssuerOfAdmissionID IssuerOfPatientID LastMenstrualDate MediaStorageSOPInstanceUID
    MedicalAlerts MedicalRecordLocator MilitaryRank NameOfPhysiciansReadingStudy NamesOfIntendedRecipientsOfResults
    Occupation OperatorsName OrderCallbackPhoneNumber OrderEnteredBy OrderEntererLocation OtherPatientIDs
    OtherPatientNames PatientAddress PatientBirthDate PatientBirthName PatientComments PatientID
    PatientInstitutionResidence PatientInsurancePlanCodeSequence PatientMotherBirthName PatientName
    PatientPrimaryLanguageCodeSequence PatientReligiousPreference PatientState PatientTelephoneNumbers
    PatientTransportArrangements PerformedLocation PerformedProcedureStepDescription PerformedProcedureStepID
    PerformedProcedureStepStartDate PerformedStationAETitle PerformedStationGeographicLocationCodeSequence
    PerformedStationName PerformingPhysicianName PersonAddress PersonName PersonTelephoneNumbers
    PhysicianApprovingInterpretation PhysiciansOfRecord PlacerOrderNumberImagingServiceRequest PlateID
    PreMedication ProtocolName ReasonForTheImagingServiceRequest ReasonForTheRequestedProcedure
    ReferencedSOPInstanceUID ReferringPhysicianAddress ReferringPhysicianName ReferringPhysicianTelephoneNumbers
    RegionOfResidence RelatedFrameOfReferenceUID RequestAttributesSequence RequestedContrastAgent
    RequestedProcedureComments RequestedProcedureDescription RequestedProcedureID RequestedProcedureLocation
    RequestingPhysician RequestingService ResponsibleOrganization ResponsiblePerson
    ResultsComments ReviewerName ScheduledHumanPerformersSequence ScheduledPatientInstitutionResidence
    ScheduledPerformingPhysicianName ScheduledProcedureStepDescription ScheduledProcedureStepID
    ScheduledProcedureStepLocation ScheduledProcedureStepStartDate ScheduledStationAETitle ScheduledStationName
    SeriesDate SeriesDescription SeriesInstanceUID ServiceEpisodeDescription ServiceEpisodeID SmokingStatus
    SOPInstanceUID SpecialNeeds StationName StorageMediaFileSetUID StudyComments StudyDate StudyDescription StudyID
    StudyIDIssuer StudyInstanceUID SynchronizationFrameOfReferenceUID TextComments TextString
    TopicAuthor TopicKeywords TopicSubject TopicTitle TransactionUID VerifyingObserverName VerifyingOrganization
    VisitComments
"""
"""Of Table E.1-1 what one can send in a report; patient characteristics, device types and times stay on purpose."""

_VALUES = {"UI": "2.25.471147114711", "DA": "20190203", "DT": "20190203101112", "PN": "Zzmarked^Someone"}


@pytest.mark.parametrize("nested", [False, True], ids=["of the report", "of an item"])
def test_no_element_of_the_profile_keeps_its_value(nested: bool) -> None:
    ds = report(spine(), **PATIENT)
    at = ds
    if nested:
        at = Dataset()
        ds.ReferencedRequestSequence = [at]
    sent = {}
    for keyword in PROFILE.split():
        try:
            vr = dictionary_VR(keyword)
        except (KeyError, ValueError):
            continue
        if vr in ("SQ", "OB", "US") or keyword in ("PatientID", "MediaStorageSOPInstanceUID"):
            continue
        sent[keyword] = _VALUES.get(vr, "ZZSECRET 47")[: 16 if vr in ("SH", "AE", "CS") else None]
        put(at, keyword, sent[keyword])
    assert len(sent) > 100
    done = anonymous(ds)
    for value in (*_VALUES.values(), "Zzmarked", "ZZSECRET", *PATIENT.values()):
        assert not holds(done.file, value), value
    written = dcmread(BytesIO(done.file))
    marks = (written.PatientIdentityRemoved, written.LongitudinalTemporalInformationModified)
    assert marks == ("YES", "MODIFIED")
    assert written.DeidentificationMethod
