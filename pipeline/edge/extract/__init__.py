"""Extract waiting receipts into exams, and hold what cannot be read or must not be believed."""
