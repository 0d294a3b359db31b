"""`make docs`: writes what the documentation takes from the code: the tables of settings and of claims."""
