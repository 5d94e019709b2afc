"""Quality control of scanners: control charts from phantom scans on file, and the stops that follow from them."""
