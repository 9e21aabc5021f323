"""The programs behind bin/."""
