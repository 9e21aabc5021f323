"""Training a genotype's network from scratch."""
