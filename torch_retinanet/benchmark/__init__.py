"""Speed side by side: this package, and others that detect, each in a process of its own, in turn in one run."""
