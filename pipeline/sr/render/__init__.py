"""Render addenda as pages, images and PDF, for viewers that show no structured reports.

``page_content`` collects what the pages show, ``page_layout`` lays it out, ``drawing`` draws it as a PDF,
``rasterising`` turns that into images, and ``instances`` makes DICOM instances of them.
"""
