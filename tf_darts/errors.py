"""The one exception that a person can mend: bad input, said in one line."""


class UserError(ValueError):
    """Bad input: the message names the field, its value, and what is allowed.

    The binaries print the message alone and exit with status 2; it is raised before any long work
    starts and before anything is written.
    """
