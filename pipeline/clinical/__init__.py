"""What is right for a patient: values in, values out, exact, without DICOM, files or a clock."""
