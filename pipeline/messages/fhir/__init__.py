"""FHIR R4: the result of an exam as a transaction of resources."""
