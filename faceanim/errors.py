"""The one exception that means: the person who runs this can mend it."""


class FaceanimError(Exception):
    """A problem with what the user gave or set up; its text is one line that says what to do.

    Commands print the line and exit with a non-zero code; anything else that escapes is a defect of ours
    and keeps its traceback.
    """
