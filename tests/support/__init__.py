"""What tests are made of; the folders beside this one have the tests.

- Apps: ``serving`` runs one in this event loop, ``programs`` runs other processes, and
  ``terminal`` one in a terminal. ``apps``, ``mounted``, ``scripted`` and ``streaming_app`` are
  apps to run; ``stand_in`` is a server that says what a test tells it to.
- Queues: ``stores`` and ``shared_queue`` are sound, those in ``broken`` each break one promise,
  and ``recorded`` writes down what is done to it. ``loops`` are event loops to run them on.
- Handlers: ``resisting`` are those that do not stop; ``notes`` read a database, and
  ``slow_disk`` holds up those of the examples.
- ``listening`` hears the log, ``environments`` installs distributions, ``machine`` runs the
  scripts in ``.ci``, and ``suites`` are tests that run in a pytest of their own.
- ``power_loss`` records what a process writes, and makes of it what a power cut may leave.
- ``postgres`` is a real server, with a pooler before it and a standby beside it.
- Tools that also have a command: ``soak``, ``races``, ``exits``, ``servers`` and ``fuzz``.

An *act* is what a test does to a queue or to a server. A *behaviour* is what a handler does.
A *plan* says what will happen, and a failure prints the command that replays it.
"""

SAFETY_NET = 120.0
"""Seconds after which a test gives up on what hangs; nothing else ever waits so long."""
