"""Extract an exam from a scanner's report: measurements, regions, scanner, dates, and the vendor's own trend."""
