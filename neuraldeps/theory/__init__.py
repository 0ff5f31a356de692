"""What the paper proves and supposes of its dependencies, held against every one that was solved."""
