"""`stoat-jobs demo`: a slow job behind a real web server, seen from its client.

``scan`` is the work, ``app`` the web app around it, ``server`` runs that app, ``client``
talks to it over HTTP, ``screen`` and ``report`` show what comes back, ``run`` tells the story.
"""
