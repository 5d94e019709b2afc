"""Bring in earlier exams: query/retrieve from an archive (PS3.4 Annex C), and import of files."""
