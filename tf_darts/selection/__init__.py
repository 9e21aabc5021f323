"""From a searched supernet to a genotype."""
