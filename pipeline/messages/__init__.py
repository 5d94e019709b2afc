"""Messages that tell other systems than a PACS what an addendum says: HL7 v2 and FHIR, in memory."""
