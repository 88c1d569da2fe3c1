"""The runtimes that a detector runs on beside eager torch: one file each, and its certificate."""
