"""Ring 1: what an event is, which transitions are legal, and how chance decides. Pure: no I/O, no clock."""
