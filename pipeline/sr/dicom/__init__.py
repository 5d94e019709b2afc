"""DICOM in memory: read and write data sets, SR content trees, character sets, UIDs and values."""
