"""What only the chapter on GameNGen needs."""
