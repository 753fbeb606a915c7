"""Query → expansions: a teacher and a student are both expanders."""
