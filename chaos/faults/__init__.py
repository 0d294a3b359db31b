"""The faults, one small class each: what it does, what has to be undone, and from when on recovery counts."""
