"""What a search may do otherwise than DARTS, as parts that stand together: a class in a file each."""
