"""``stoat-jobs demo``: a slow job behind a real web server, seen from its client.

``server`` runs the app of the example, ``client`` talks to it over HTTP, ``screen`` and ``report``
show what comes back, ``run`` tells the story.
"""
