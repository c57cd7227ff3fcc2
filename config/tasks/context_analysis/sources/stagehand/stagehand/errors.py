class ShowError(Exception):
    """Something that the person at the desk has to know."""


class CueError(ShowError):
    def __init__(self, cue, text):
        super().__init__(f"cue {cue}: {text}")
        self.cue = cue


class PatchError(ShowError):
    pass
