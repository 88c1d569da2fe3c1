"""The rule by which two arrays are judged, the records of it, and what a whole run says. Needs numpy alone."""
