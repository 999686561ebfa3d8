"""Exit codes of the command line."""

EQUIVALENT = 0
NOT_EQUIVALENT = 1
MEND = 2  # something that the user has to mend
DEFECT = 3
INTERRUPTED = 130  # as shells tell of SIGINT
BROKEN_PIPE = 141  # and of SIGPIPE

FAULTS = """\
  2  something to mend: a bad model, rule file, shape or option; the message says what
  3  a defect of snnconvert"""
