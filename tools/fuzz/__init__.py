"""Foreign bytes against every reader of them: what goes in comes out of MariaDB the same, or lies in dead_letter."""
