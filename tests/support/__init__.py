"""What tests are made of; the folders beside this one have the tests.

- *Apps*: ``serving`` runs one in this event loop, ``programs`` in a process of its own;
  ``apps``, ``mounted``, ``scripted`` and ``servers`` have some to run.
- *Queues*: ``stores`` and ``shared`` have sound ones, ``broken`` has those that a test must
  catch, ``loops`` the event loops that they run on.
- *Tools*, each with a command of its own: ``soak``, ``races``, ``exits``, ``servers``, ``fuzz``.

An *act* is what a test does to a queue or to a server. A *behaviour* is what a handler does.
A *plan* says what will happen, and a failure prints the command that replays it.
"""

SAFETY_NET = 120.0
"""Seconds after which a test gives up on what hangs; nothing else ever waits so long."""
