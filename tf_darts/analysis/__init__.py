"""What a searched supernet says about the paper's claims."""
