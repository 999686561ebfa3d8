"""How long runs take, and in how much memory."""
