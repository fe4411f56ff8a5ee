"""`stoat-jobs demo`: a slow job behind a real web server, seen from its client.

``scan`` is the work, ``jobs`` has the job types, ``app`` is the web app around them, ``server``
runs that app, ``client`` talks to it over HTTP, ``screen`` and ``report`` show what comes back,
``run`` tells the story.
"""
