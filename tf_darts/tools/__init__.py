"""Programs beside the three stages: benchmark, verification, compilation for TPUs."""
