"""The desk: server-rendered pages on which a department sees what happened, why, and what to do."""
