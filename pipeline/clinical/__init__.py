"""Clinical rules of follow-up densitometry: pure functions over exact values, without DICOM, files or a clock."""
