"""The discrete architecture: genotypes, their text forms, and how they are read off mixing weights."""
