"""Ring 2: the exactly-once runtime. Its state is the fold of a topic; it knows no order and no checkout."""
