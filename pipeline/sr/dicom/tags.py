"""Tags of the attributes that several modules read or write (PS3.6)."""

SPECIFIC_CHARACTER_SET = 0x00080005
CODE_VALUE = 0x00080100
CODE_SCHEME = 0x00080102  # Coding Scheme Designator
CODE_MEANING = 0x00080104
LONG_CODE_VALUE = 0x00080119
URN_CODE_VALUE = 0x00080120
REFERENCED_SOP_CLASS = 0x00081150  # Referenced SOP Class UID
REFERENCED_SOP_INSTANCE = 0x00081155  # Referenced SOP Instance UID
REFERENCED_SOPS = 0x00081199  # Referenced SOP Sequence
UNITS = 0x004008EA  # Measurement Units Code Sequence
RELATIONSHIP = 0x0040A010  # Relationship Type
VALUE_TYPE = 0x0040A040
CONCEPT_NAME = 0x0040A043  # Concept Name Code Sequence
CONCEPT_CODE = 0x0040A168  # Concept Code Sequence
MEASURED_VALUES = 0x0040A300  # Measured Value Sequence
NUMERIC_VALUE = 0x0040A30A
TEMPLATE = 0x0040A504  # Content Template Sequence
CONTENT = 0x0040A730  # Content Sequence
PIXEL_DATA = 0x7FE00010

VALUE_OF_TYPE = {
    "TEXT": 0x0040A160,
    "DATETIME": 0x0040A120,
    "DATE": 0x0040A121,
    "TIME": 0x0040A122,
    "PNAME": 0x0040A123,
    "UIDREF": 0x0040A124,
    "SCOORD": 0x00700023,
    "SCOORD3D": 0x00700023,
    "TCOORD": 0x0040A130,
}
"""The tag of the value of each value type of a content item (PS3.3 C.17.3)."""
