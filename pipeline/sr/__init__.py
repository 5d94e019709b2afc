"""What does a structured report say, and how do we say it in one: DICOM SR in memory, bytes in, values out."""
