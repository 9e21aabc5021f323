"""The work directory: what a stage leaves, and how it is continued."""
