"""Pages: the report of a work directory, and the comparison of several."""
