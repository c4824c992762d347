"""What people look at: a page and a deck, made of the marts and of nothing else."""
