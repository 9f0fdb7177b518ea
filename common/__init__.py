"""What every room needs and no library gives: user errors as one line, atomic writes, a folder lock."""
