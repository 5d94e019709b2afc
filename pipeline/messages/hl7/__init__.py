"""HL7 version 2: the result message ORU^R01, its mapping, and the answers to it."""
