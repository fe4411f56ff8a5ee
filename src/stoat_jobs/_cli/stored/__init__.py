"""``stoat-jobs list``, ``show``, ``cancel``, ``resubmit`` and ``delete``: an operator's terminal.

For backends that keep their jobs outside the process. ``desk`` opens such a backend to read and to
change its jobs, and never runs one. ``reading`` reads pages of them, ``changing`` changes some of
them, ``app`` finds the handlers of an app, ``table`` and ``details`` turn records into lines.
``command`` and ``changes`` are the commands. They need no extra but that of the backend.
"""
