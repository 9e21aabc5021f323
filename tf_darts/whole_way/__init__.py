"""The whole way: all stages in turn, rivals of what was found, and what came out."""
