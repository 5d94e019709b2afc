"""Render addenda as pages, images and PDF, for viewers that show no structured reports.

``page_content`` collects what the pages show, ``page_layout`` lays it out, ``drawing`` draws it with matplotlib, and
``instances`` makes DICOM instances of it. ``drawing`` and ``fonts`` need the extra ``dxatrend[render]``; importing them
takes a second and 50 MB.
"""
