"""What does a person see of an addendum in a viewer that shows no structured reports?

``page`` says what stands on its pages, ``layout`` where, ``drawing`` puts it down with matplotlib, ``instances`` makes
DICOM objects of it. Importing ``drawing`` takes a second and some 50 MB: only who authors faces does.
"""
