"""What every room needs: user errors as one line, atomic writes, a folder lock, settings."""
