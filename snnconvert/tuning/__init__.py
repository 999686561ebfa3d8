"""What converts or runs a network many times: what each site adds."""
