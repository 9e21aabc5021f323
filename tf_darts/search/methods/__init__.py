"""Search methods: what one step of the search does with its two batches, a class in a file each."""
