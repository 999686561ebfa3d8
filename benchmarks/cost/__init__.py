"""What conversions cost beside their sources: time, memory, and the making of them."""
