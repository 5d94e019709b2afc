"""Follow up exams that are due: match, compare, interpret, author, and queue the addendum for delivery."""
