"""``stoat-jobs list`` and ``stoat-jobs show``: jobs that a backend keeps outside its process.

``reading`` finds the backend's reader, ``table`` and ``details`` turn records into lines,
``command`` puts them together. They need no extra.
"""
