"""Everything we were sent, what it says, what we answered and what still has to be done, in one SQL database."""
